// The form of a place for copies: what it becomes, and what it lacks.
import { describe, expect, it } from 'vitest';
import { NEW_TARGET, type NewTarget, targetBody, targetProblems } from './new-target';
import { NO_ANSWERS } from './presets';

const whole = (more: Partial<NewTarget> = {}): NewTarget => ({
  ...NEW_TARGET,
  answers: { ...NO_ANSWERS, region: 'eu-central-1' },
  bucket: 'perch',
  access: 'AK',
  secret: 'SK',
  ...more,
});

describe('the form of a place for copies', () => {
  it('becomes what the box takes, without what was left out', () => {
    expect(targetBody(whole())).toEqual({
      endpoint: 'https://s3.eu-central-1.amazonaws.com',
      region: 'eu-central-1',
      bucket: 'perch',
      access_key: 'AK',
      secret_key: 'SK',
      what: 'events',
    });
    const more = whole({
      prefix: '/home/',
      mbit: '1,5',
      gigabytes: '20',
    });
    expect(targetBody(more)).toMatchObject({
      prefix: 'home',
      max_bytes_per_s: 187_500,
      monthly_bytes: 20_000_000_000,
    });
  });

  it.each<[Partial<NewTarget>, string[]]>([
    [{}, []],
    [{ answers: NO_ANSWERS, bucket: 'a', access: ' ', secret: '' }, ['region', 'bucket', 'access', 'secret']],
    [{ mbit: '-1', gigabytes: 'much' }, ['mbit', 'gigabytes']],
    [{ store: 'garage' }, ['endpoint']],
  ])('%j lacks %j', (given, lacks) => {
    expect([...targetProblems(whole(given)).keys()]).toEqual(lacks);
  });
});
