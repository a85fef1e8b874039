// The servers that a camera is sent to, as its form has them: what is shown of their addresses, and which of them the box tells how they are.
import type { PushStatus } from '../types';
import { same } from './tree';

/** As `push` of a camera has it. */
export interface PushTarget {
  url: string;
  stream?: 'main' | 'sub';
  password_file?: string;
}

/** The box takes no more of one camera. */
export const MOST_TARGETS = 4;
const SCHEMES = /^(rtmps?|rtsps?|srt|https?):\/\/[^/?#\s]+/i;

export const targetsOf = (value: unknown): PushTarget[] =>
  Array.isArray(value) ? (value as PushTarget[]) : [];

/** An address without the marks of what is kept apart. */
export const shownUrl = (url: string): string => url.replace(/\{password(?::as-it-is)?\}/g, '…');

/** Whether the box may understand it: it says what is wrong with the rest. */
export const isAddress = (url: string): boolean => SCHEMES.test(url.trim());

/** How a target is, in its place of the list; null where it is not saved like this. */
export function statusOf(
  target: PushTarget,
  place: number,
  saved: readonly PushTarget[],
  all: readonly PushStatus[],
): PushStatus | null {
  const at = same(saved[place], target) ? place : saved.findIndex((other) => same(other, target));
  return all[at] ?? null;
}
