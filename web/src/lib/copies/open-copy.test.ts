// Copies opened in the browser: keys, pieces in any order, damage, and foreign bytes.
import { Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { describe, expect, it } from 'vitest';
import { CopyError, keysIn, openCopies } from './open-copy';

/** A box of MP4. */
function box(type: string, ...inside: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = inside.reduce((sum, part) => sum + part.length, 8);
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(0, size);
  bytes.set(
    [...type].map((sign) => sign.charCodeAt(0)),
    4,
  );
  let at = 8;
  for (const part of inside) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const joined = (...parts: Uint8Array[]) => new Uint8Array(parts.flatMap((part) => [...part]));
const header = joined(box('ftyp', new Uint8Array(8)), box('moov', new Uint8Array(40)));
const fragment = (sequence: number) =>
  joined(
    box('moof', box('mfhd', new Uint8Array([0, 0, 0, 0, 0, 0, 0, sequence]))),
    box('mdat', new Uint8Array(20).fill(sequence)),
  );

const file = (name: string, bytes: Uint8Array, folder = '') => {
  const made = new File([new Uint8Array(bytes)], name);
  Object.defineProperty(made, 'webkitRelativePath', { value: folder && `${folder}/${name}` });
  return made;
};

async function makeKey(): Promise<{ text: string; recipient: string }> {
  const secret = await generateX25519Identity();
  const recipient = await identityToRecipient(secret);
  return { text: `# public key: ${recipient}\n${secret}\n`, recipient };
}

async function sealed(bytes: Uint8Array, recipient: string): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  return encrypter.encrypt(bytes);
}

const bytesOf = async (blob: Blob) => [...new Uint8Array(await blob.arrayBuffer())];
const trouble = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof CopyError ? error.trouble : `another: ${String(error)}`),
  );

describe('copies opened in the browser', () => {
  it('takes keys as age-keygen writes them, and says where there is none', async () => {
    const made = await makeKey();
    expect(keysIn(`hello\r\n${made.text.toLowerCase()}`)).toHaveLength(1);
    expect(() => keysIn(`${made.recipient}\n`)).toThrow(CopyError);
  });

  it('decrypts a recording, a still and a text, and leaves open ones as they are', async () => {
    const key = await makeKey();
    const whole = joined(header, fragment(1));
    const still = new Uint8Array([0xff, 0xd8, 1, 2, 3]);
    const opened = await openCopies(
      [
        file('120000-ab.mp4.age', await sealed(whole, key.recipient)),
        file('still.jpg.age', await sealed(still, key.recipient)),
        file('facts.json', new TextEncoder().encode('{}')),
      ],
      keysIn(key.text),
    );
    expect(opened.map(({ kind, name }) => [kind, name])).toEqual([
      ['video', '120000-ab.mp4'],
      ['picture', 'still.jpg'],
      ['facts', 'facts.json'],
    ]);
    expect(await bytesOf(opened[0]!.blob)).toEqual([...whole]);
    expect(await bytesOf(opened[1]!.blob)).toEqual([...still]);
  });

  it('puts a recording of pieces together in its order, whatever they are called, folder by folder', async () => {
    const files = [
      file('x9', fragment(3), 'a'),
      file('0-ab.mp4', header, 'a'),
      file('y', fragment(1), 'a'),
      file('0-cd.mp4', header, 'b'),
      file('z', fragment(2), 'a'),
      file('q', fragment(7), 'b'),
    ];
    const opened = await openCopies(files, []);
    expect(opened.map(({ name, pieces }) => [name, pieces])).toEqual([
      ['ab.mp4', 4],
      ['cd.mp4', 2],
    ]);
    expect(await bytesOf(opened[0]!.blob)).toEqual([
      ...joined(header, fragment(1), fragment(2), fragment(3)),
    ]);
  });

  it('says what is wrong', async () => {
    const [mine, other] = [await makeKey(), await makeKey()];
    const bytes = await sealed(joined(header, fragment(1)), mine.recipient);
    const one = (content: Uint8Array) => [file('a.mp4.age', content)];
    expect(await trouble(openCopies(one(bytes), []))).toBe('no_key');
    expect(await trouble(openCopies(one(bytes), ['AGE-SECRET-KEY-1NOTONE']))).toBe('no_key');
    expect(await trouble(openCopies(one(bytes), keysIn(other.text)))).toBe('wrong_key');
    const flipped = bytes.slice();
    flipped[flipped.length - 1]! ^= 1;
    expect(await trouble(openCopies(one(flipped), keysIn(mine.text)))).toBe('damaged');
    expect(await trouble(openCopies(one(bytes.slice(0, 60)), keysIn(mine.text)))).toBe('damaged');
    expect(await trouble(openCopies([file('p', fragment(1))], []))).toBe('no_header');
    const both = [file('1', header), file('2', header), file('3', fragment(1))];
    expect(await trouble(openCopies(both, []))).toBe('several');
    const huge = file('h', new Uint8Array(1));
    Object.defineProperty(huge, 'size', { value: 2 ** 33 });
    expect(await trouble(openCopies([huge], []))).toBe('too_much');
  });

  it('takes any bytes for what they are', async () => {
    for (let length = 0; length < 60; length += 1) {
      const noise = Uint8Array.from({ length }, (_, at) => (at * 37 + length * 11) % 256);
      expect(await trouble(openCopies([file('n', noise)], []))).toBe('none');
      const cut = joined(header, fragment(1)).slice(0, length);
      expect(['none', 'no_header']).toContain(await trouble(openCopies([file('c', cut)], [])));
    }
  });
});
