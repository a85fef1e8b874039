// The owner's key: made, written so that it opens what was encrypted for it, and proven.
import { Encrypter } from 'age-encryption';
import { describe, expect, it } from 'vitest';
import { keysIn, openCopies } from './open-copy';
import { endsWith, isIn, isRecipient, keyFileText, makeKey } from './owner-key';

describe('the owner’s key', () => {
  it('opens by its file what is encrypted for its public half', async () => {
    const key = await makeKey();
    expect(isRecipient(key.recipient)).toBe(true);
    const encrypter = new Encrypter();
    encrypter.addRecipient(key.recipient);
    const sealed = new Uint8Array(await encrypter.encrypt(new TextEncoder().encode('{}')));
    const text = keyFileText(key, new Date(0), 'opens copies');
    const file = Object.assign(new File([sealed], 'facts.json.age'), { webkitRelativePath: '' });
    const [opened] = await openCopies([file], keysIn(text));
    expect(await opened!.blob.text()).toBe('{}');
  });

  it('is proven by its last characters or by its file, and by nothing else', async () => {
    const [key, other] = [await makeKey(), await makeKey()];
    const tail = key.secret.slice(-6);
    expect(endsWith(key, ` ${tail.slice(0, 3).toLowerCase()} ${tail.slice(3)}`)).toBe(true);
    for (const wrong of ['', tail.slice(1), `${tail}A`, key.secret.slice(0, 6)])
      expect(endsWith(key, wrong), wrong).toBe(false);
    expect(isIn(key, keyFileText(key, new Date(0), 'opens copies'))).toBe(true);
    expect(isIn(key, keyFileText(other, new Date(0), 'opens copies'))).toBe(false);
    expect(isIn(key, key.recipient)).toBe(false);
  });

  it('knows what is no public key', () => {
    for (const text of ['', 'age1', 'AGE-SECRET-KEY-1ABC', 'ssh-ed25519 AAAA'])
      expect(isRecipient(text)).toBe(false);
  });
});
