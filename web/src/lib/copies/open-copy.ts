// Copies opened in the browser: decrypted with the owner's key, which never leaves it, and pieces of a recording put together again.
// age format: https://age-encryption.org/v1. Boxes of MP4: ISO/IEC 14496-12.

/** The age library, loaded only when something is opened. */
const age = () => import('age-encryption');

export type CopyKind = 'video' | 'picture' | 'facts' | 'other';

export interface OpenedCopy {
  kind: CopyKind;
  /** For saving; that of the first piece without what only the store needs. */
  name: string;
  blob: Blob;
  /** Pieces it was put together from. */
  pieces: number;
}

export type CopyTrouble =
  /** No age key in the text. */
  | 'no_key'
  /** Encrypted for other keys. */
  | 'wrong_key'
  /** Not whole, or changed since it was written. */
  | 'damaged'
  /** Pieces of a recording without its first one, which says how it plays. */
  | 'no_header'
  /** Pieces of more than one recording, of which nothing says which belongs where. */
  | 'several'
  | 'too_much';

export class CopyError extends Error {
  constructor(
    readonly trouble: CopyTrouble,
    readonly file = '',
  ) {
    super(`${trouble} ${file}`);
  }
}

/** Bytes that are held at once; a browser of a phone ends a page that holds more. */
export const MOST_BYTES = 512 * 1024 * 1024;

const SECRET = /^\s*(AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]+)\s*$/gim;
const INTRO = 'age-encryption.org/v1\n';

/** The keys in a text, as `age-keygen` writes them: one a line, others are comments. */
export function keysIn(text: string): string[] {
  const keys = [...text.matchAll(SECRET)].map(([, key]) => key!.toUpperCase());
  if (keys.length === 0) throw new CopyError('no_key');
  return keys;
}

interface Piece {
  name: string;
  /** Where it lay, for files of a chosen folder: pieces of one recording lie in one. */
  folder: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Opens all files; those that are pieces of recordings are put together, in the order in which they were recorded. */
export async function openCopies(files: readonly File[], keys: readonly string[]): Promise<OpenedCopy[]> {
  if (files.reduce((sum, file) => sum + file.size, 0) > MOST_BYTES) throw new CopyError('too_much');
  const pieces: Piece[] = [];
  for (const file of files) {
    const folder = file.webkitRelativePath.split('/').slice(0, -1).join('/');
    pieces.push({ name: plainName(file.name), folder, bytes: await opened(file, keys) });
  }
  const folders = [...new Set(pieces.map((piece) => piece.folder))];
  return folders.flatMap((folder) => putTogether(pieces.filter((piece) => piece.folder === folder)));
}

async function opened(file: File, keys: readonly string[]): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (!isEncrypted(bytes)) return bytes;
  if (keys.length === 0) throw new CopyError('no_key', file.name);
  const { Decrypter } = await age();
  const decrypter = new Decrypter();
  try {
    for (const key of keys) decrypter.addIdentity(key);
  } catch {
    throw new CopyError('no_key');
  }
  try {
    // The library gives a view of memory that is its own; a Blob wants that said.
    return new Uint8Array(await decrypter.decrypt(bytes));
  } catch (error) {
    const isOther = error instanceof Error && error.message.includes('no identity matched');
    throw new CopyError(isOther ? 'wrong_key' : 'damaged', file.name);
  }
}

function isEncrypted(bytes: Uint8Array): boolean {
  return bytes.length >= INTRO.length && [...INTRO].every((sign, at) => bytes[at] === sign.charCodeAt(0));
}

const plainName = (name: string): string => name.replace(/\.age$/, '');

/** Of one folder: whole recordings, pictures and texts stay by themselves; a header and the fragments make one recording. */
export function putTogether(pieces: readonly Piece[]): OpenedCopy[] {
  const whole: OpenedCopy[] = [];
  const headers: Piece[] = [];
  const fragments: { piece: Piece; sequence: number }[] = [];
  for (const piece of pieces) {
    const boxes = boxesOf(piece.bytes);
    const has = (type: string) => boxes.some((box) => box.type === type);
    if (has('moof') && !has('moov')) fragments.push({ piece, sequence: sequenceOf(piece.bytes, boxes) });
    else if (has('moov') && !has('moof') && !has('mdat')) headers.push(piece);
    else whole.push(alone(piece, has('moov')));
  }
  if (fragments.length === 0) return whole;
  if (headers.length === 0) throw new CopyError('no_header', fragments[0]!.piece.name);
  if (headers.length > 1) throw new CopyError('several');
  const [header] = headers;
  fragments.sort((a, b) => a.sequence - b.sequence);
  const bytes = [header!.bytes, ...fragments.map(({ piece }) => piece.bytes)];
  const name = header!.name.replace(/^\d+-/, '').replace(/(\.mp4)?$/, '.mp4');
  const blob = new Blob(bytes, { type: 'video/mp4' });
  return [{ kind: 'video', name, blob, pieces: bytes.length }, ...whole];
}

function alone(piece: Piece, isVideo: boolean): OpenedCopy {
  const { name, bytes } = piece;
  const of = (kind: CopyKind, type: string) => ({ kind, name, blob: new Blob([bytes], { type }), pieces: 1 });
  if (isVideo) return of('video', 'video/mp4');
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return of('picture', 'image/jpeg');
  if (bytes[0] === 0x7b) return of('facts', 'application/json');
  return of('other', 'application/octet-stream');
}

interface Mp4Box {
  type: string;
  from: number;
  to: number;
}

/** The boxes of a file, or of `within` one of them; nothing where it is not MP4. */
function boxesOf(bytes: Uint8Array, within = { from: 0, to: bytes.length }): Mp4Box[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const boxes: Mp4Box[] = [];
  let at = within.from;
  while (at + 8 <= within.to) {
    const short = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const isLong = short === 1 && at + 16 <= within.to;
    const size = isLong ? Number(view.getBigUint64(at + 8)) : short === 0 ? within.to - at : short;
    const head = isLong ? 16 : 8;
    if (size < head || !/^[\x20-\x7e]{4}$/.test(type)) return [];
    boxes.push({ type, from: at + head, to: Math.min(at + size, within.to) });
    at += size;
  }
  return boxes;
}

/** `mfhd.sequence_number` of the first fragment; behind all others where there is none. */
function sequenceOf(bytes: Uint8Array, boxes: readonly Mp4Box[]): number {
  const moof = boxes.find((box) => box.type === 'moof')!;
  const mfhd = boxesOf(bytes, moof).find((box) => box.type === 'mfhd');
  if (!mfhd || mfhd.to - mfhd.from < 8) return Number.MAX_SAFE_INTEGER;
  return new DataView(bytes.buffer, bytes.byteOffset + mfhd.from + 4, 4).getUint32(0);
}
