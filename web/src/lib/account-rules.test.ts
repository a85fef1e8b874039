// What is said of names and passwords while they are typed.
import { expect, test } from 'vitest';
import { nameProblem, strengthOf } from './account-rules';
import { t } from './en';

test('names of people are taken', () => {
  for (const name of [
    'Anna Müller',
    'Seán O’Brien',
    '李小龙',
    'Ngọc-Ánh',
    'anna.b',
    'محمد',
    'Anna 2',
    '',
    ' Anna ',
  ])
    expect(nameProblem(name), name).toBe('');
});

test('what the box would refuse is said while it is typed', () => {
  expect(nameProblem('a/b')).toBe(t.users.nameMark('/'));
  expect(nameProblem('a\u202eb')).toBe(t.users.nameMark('\u202e'));
  expect(nameProblem('<b>')).toBe(t.users.nameStart);
  expect(nameProblem('.a')).toBe(t.users.nameStart);
  expect(nameProblem('a'.repeat(65))).toBe(t.users.nameLong(64));
});

test('a word on a password', () => {
  const { strength } = t.users;
  for (const [password, word] of [
    ['abc', strength.short(7)],
    ['aaaaaaaaaaaa', strength.weak],
    ['12345678901234', strength.weak],
    ['correcthorse', strength.weak],
    ['c0rrect-h', strength.short(1)],
    ['c0rrect-ho', strength.fair],
    ['correct horse battery', strength.good],
  ] as const)
    expect(strengthOf(password), password).toBe(word);
});
