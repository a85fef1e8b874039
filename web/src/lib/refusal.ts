// What somebody is told who is not let in, by a code or by a password.
import { ApiError, words } from './api';
import { t } from './en';
import { SECOND, duration } from './time';

/** `own` are the words of the form itself, where it has some for what went wrong; those for too many tries are the same for all. */
export function refusal(problem: unknown, own: (problem: ApiError) => string | undefined): string {
  if (!(problem instanceof ApiError)) return words(problem);
  const { status, retryAfterS } = problem;
  const wait = status === 429 && retryAfterS ? t.pair.tooMany(duration(retryAfterS * SECOND)) : undefined;
  return own(problem) ?? wait ?? words(problem);
}
