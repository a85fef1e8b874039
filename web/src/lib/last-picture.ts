// The last picture that a camera gave, out of its recording, with the moment at which it was taken.
import { api } from './api';
import { range } from './urls';
import { toMs } from './time';

export interface LastPicture {
  /** An object URL: whoever holds it revokes it. */
  url: string;
  atMs: number;
}

/** What was recorded last at or before a moment; null where nothing was, or the box does not say. */
export async function lastPicture(
  camera: string,
  width: number,
  beforeMs: number,
): Promise<LastPicture | null> {
  try {
    const query = { at: range(beforeMs, beforeMs).from, width };
    const answer = await api.open('get', '/api/v1/cameras/{camera}/snapshot.jpg', {
      path: { camera },
      query,
    });
    const atMs = toMs(answer.headers.get('perch-picture-at') ?? '');
    if (Number.isNaN(atMs)) return null;
    return { url: URL.createObjectURL(await answer.blob()), atMs };
  } catch {
    // No picture is no news: what is wrong with the camera is said beside it.
    return null;
  }
}
