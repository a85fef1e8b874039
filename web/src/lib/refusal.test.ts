// Who is not let in is told why.
import { describe, expect, test } from 'vitest';
import { ApiError, Unreachable } from './api';
import { t } from './en';
import { refusal } from './refusal';

const own = (problem: ApiError) => (problem.status === 401 ? 'Wrong.' : undefined);

describe('refusal', () => {
  test('the form speaks first, then how long to wait, then the box', () => {
    expect(refusal(new ApiError({ status: 401, detail: 'no' }), own)).toBe('Wrong.');
    expect(refusal(new ApiError({ status: 429, detail: 'slow down' }, 60), own)).toMatch(
      /^Too many tries\. Wait /,
    );
    expect(refusal(new ApiError({ status: 429, detail: 'slow down' }), own)).toBe('Slow down.');
    expect(refusal(new ApiError({ status: 503, detail: 'not now' }), own)).toBe('Not now.');
  });

  test('what is no answer of the box has its own words', () => {
    expect(refusal(new Unreachable(), own)).toBe(t.error.unreachable);
    expect(refusal(new Error('a defect'), own)).toBe(t.error.unexpected);
  });
});
