// What is tried to see whether the box is trusted, and what each outcome tells.
import { expect, test } from 'vitest';
import { trustOf } from './trust-probe';

const named = (name: string) => Object.assign(new Error('refused'), { name });
const refuses = (error: Error) => () => Promise.reject(error);
const takes = () => Promise.resolve();
const answers =
  (...good: string[]) =>
  (origin: string) =>
    Promise.resolve(good.includes(origin));

test('what is tried, and what it tells', async () => {
  const others = ['https://192.168.1.20:8443', 'https://perch.local:8443'];
  const of = (register: () => Promise<void>, workersTell: boolean, ...good: string[]) =>
    trustOf(others, { register, workersTell, reach: answers(...good) });
  // Chromium.
  expect(await of(takes, true)).toBe('trusted');
  expect(await of(refuses(named('SecurityError')), true, others[0]!)).toBe('untrusted');
  expect(await of(refuses(named('TypeError')), true)).toBe('unknown');
  // Firefox and Safari take a worker behind an exception, too.
  expect(await of(takes, false)).toBe('unknown');
  expect(await of(takes, false, others[1]!)).toBe('trusted');
  expect(await of(refuses(named('SecurityError')), false)).toBe('untrusted');
  // No service workers: a private window.
  expect(await of(refuses(new Error('none')), false, others[0]!)).toBe('trusted');
});
