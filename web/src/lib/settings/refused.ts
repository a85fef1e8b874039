// What the box refuses of a change, taken apart: each problem with the key that it is about.
import { ApiError, sentence, words } from '../api';

export interface Refused {
  /** Sentences by key, as the form knows it. */
  fields: ReadonlyMap<string, string>;
  /** What is wrong with no single field, sentences. */
  rest: string[];
  /** Whether the same may be accepted later, as when the box was out of reach. */
  mayTryAgain: boolean;
}

/** `recording.max_days = -1: must be …`, or without the value. */
const LINE = /^\s*([a-z][\w.[\]]*)(?: = .*?)?: (.+)$/;
/** A camera's keys, by its place in the list or alone. */
const OF_CAMERA = /^camera(?:\[(\d+)\])?\./;

/** `camera` is the place of the camera whose form asks, null for the box's form, which has none. */
export function refused(error: unknown, camera: number | null, keys: ReadonlySet<string>): Refused {
  const fields = new Map<string, string>();
  const rest: string[] = [];
  const detail = error instanceof ApiError ? (error.problem.detail ?? '') : '';
  for (const line of detail.split('\n')) {
    const [, full = '', rule = ''] = LINE.exec(line) ?? [];
    const place = OF_CAMERA.exec(full);
    const isOurs = place ? camera !== null && (!place[1] || Number(place[1]) === camera) : true;
    const inList = place ? full.slice(place[0].length) : full;
    // A list's entries are one setting.
    const key = inList.replace(/\[\d+\]/g, '[]');
    if (isOurs && keys.has(key)) fields.set(key, sentence(rule));
    // The heading above the problems says nothing by itself.
    else if (!line.trim().endsWith('refused:') && line.trim()) rest.push(sentence(line));
  }
  if (fields.size === 0 && rest.length === 0) rest.push(words(error));
  const mayTryAgain = !(error instanceof ApiError) || error.status === 429 || error.status >= 500;
  return { fields, rest, mayTryAgain };
}
