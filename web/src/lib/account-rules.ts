// What a form says of an account's name and password while they are typed. The box decides; this spares a round to it.
import { t } from './en';
import { ACCOUNT_NAME_MAX, PASSWORD_MIN } from './limits';

const MARKS = " ._-'’";
const FIRST = /^[\p{L}\p{N}]/u;
const ALLOWED = /[\p{L}\p{M}\p{N}]/u;

/** What is wrong with a name, or an empty text. Nothing is said of an empty one. */
export function nameProblem(text: string): string {
  const name = text.trim().normalize('NFC');
  if (!name) return '';
  if (!FIRST.test(name)) return t.users.nameStart;
  const wrong = [...name].find((c) => !ALLOWED.test(c) && !MARKS.includes(c));
  if (wrong) return t.users.nameMark(wrong);
  return [...name].length > ACCOUNT_NAME_MAX ? t.users.nameLong(ACCOUNT_NAME_MAX) : '';
}

/** A rough word on a password: its length counts most, and how many different characters it has. */
export function strengthOf(password: string): string {
  const length = [...password].length;
  if (length < PASSWORD_MIN) return t.users.strength.short(PASSWORD_MIN - length);
  const different = new Set(password.toLowerCase()).size;
  if (different < 6 || /^(?:\d+|[a-z]+\d{0,4})$/i.test(password)) return t.users.strength.weak;
  return length >= 16 || (length >= 12 && different >= 9) ? t.users.strength.good : t.users.strength.fair;
}
