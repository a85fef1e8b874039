// The key that copies are encrypted for: made in the browser, and seen to be in the owner's hands before it counts. The box gets its
// public half alone. age format: https://age-encryption.org/v1.
import { CopyError, keysIn } from './open-copy';

export interface OwnerKey {
  /** What opens the copies: `AGE-SECRET-KEY-1…`. It is never sent anywhere. */
  secret: string;
  /** What the box encrypts for: `age1…`. */
  recipient: string;
}

/** The last characters of a key that are typed to show that one has it. */
export const TAIL_SIGNS = 6;
const RECIPIENT = /^age1[02-9ac-hj-np-z]{58}$/;

export async function makeKey(): Promise<OwnerKey> {
  const { generateX25519Identity, identityToRecipient } = await import('age-encryption');
  const secret = await generateX25519Identity();
  return { secret, recipient: await identityToRecipient(secret) };
}

export const isRecipient = (text: string): boolean => RECIPIENT.test(text.trim());

/** As `age-keygen` writes it, so that every program of that format takes it. */
export const keyFileText = (key: OwnerKey, madeAt: Date, words: string): string =>
  `# ${words}\n# created: ${madeAt.toISOString()}\n# public key: ${key.recipient}\n${key.secret}\n`;

/** Whether somebody typed its last characters, however they wrote them. */
export function endsWith(key: OwnerKey, typed: string): boolean {
  const signs = typed.replace(/[\s-]/g, '').toUpperCase();
  return signs.length >= TAIL_SIGNS && key.secret.endsWith(signs);
}

/** Whether it stands in a file that somebody chose. */
export function isIn(key: OwnerKey, text: string): boolean {
  try {
    return keysIn(text).includes(key.secret);
  } catch (error) {
    if (error instanceof CopyError) return false;
    throw error;
  }
}
