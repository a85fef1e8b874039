// A camera as somebody describes it, made into what the box takes: its source, its short name, its password apart.
import { words as t } from '../en-settings';
import type { FoundCamera } from '../types';
import type { Tree } from './tree';

export type Kind = 'network' | 'usb' | 'libcamera' | 'file' | 'test';

export interface SourceFields {
  kind: Kind;
  /** Address, device or path. */
  place: string;
  user: string;
  password: string;
  /** Address of its second stream, without user and password; empty where none is known. */
  sub: string;
  /** Its ONVIF service, where that told its streams. */
  onvif?: string;
}

export interface CameraFields extends SourceFields {
  name: string;
  room: string;
  id: string;
  record: string;
  /** Where its sound comes from: nowhere, `source` (from itself), or a microphone of the box. */
  sound: string;
}

export const NO_SOURCE: SourceFields = { kind: 'network', place: '', user: '', password: '', sub: '' };
/** A camera's sound that comes with its pictures. */
export const OWN_SOUND = 'source';
const ID = /^[a-z0-9][a-z0-9_-]{0,31}$/;

/** The kind of a source as the box writes it. */
export function kindOf(source: string): Kind {
  if (source === 'test') return 'test';
  if (source.startsWith('file:')) return 'file';
  if (source.startsWith('v4l2:')) return 'usb';
  return source === 'libcamera' || source.startsWith('libcamera:') ? 'libcamera' : 'network';
}

/** A short name made of a name, which no other camera has: "Vordertür" is `vordertur`. */
export function idOf(name: string, taken: readonly string[]): string {
  const plain = name.normalize('NFKD').replace(/\p{M}/gu, '').replaceAll('ß', 'ss').toLowerCase();
  const id = plain
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 28)
    .replace(/^-+|-+$/g, '');
  const base = id || 'camera';
  if (!taken.includes(base)) return base;
  let n = 2;
  while (taken.includes(`${base}-${n}`)) n += 1;
  return `${base}-${n}`;
}

/** An address with a user and a password in it, as manuals print them, with both in fields of their own. */
export function apart(fields: SourceFields): SourceFields {
  const found = /^([a-z]+:\/\/)([^/?#]*)@(.*)$/i.exec(fields.place.trim());
  if (fields.kind !== 'network' || !found) return fields;
  const [, scheme = '', login = '', rest = ''] = found;
  const [, user = '', password = ''] = /^([^:]*):?(.*)$/s.exec(login) ?? [];
  return {
    ...fields,
    place: scheme + rest,
    user: decoded(user) || fields.user,
    password: decoded(password) || fields.password,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** As RFC 3986 wants a user name in an address: also what encodeURIComponent leaves as it is. */
const encoded = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** `source`, `sub_source` and `password` of a camera. */
export interface Source {
  source: string;
  sub_source?: string;
  onvif?: string;
  password?: string;
}

/** `keepsPassword`: the box has its password, and it stays where none is written. */
export function sourceOf(fields: SourceFields, keepsPassword = false): Source {
  const { kind, place, user, password, sub, onvif = '' } = apart(fields);
  const where = place.trim();
  if (kind === 'test') return { source: 'test' };
  if (kind === 'file') return { source: `file:${where.replace(/^file:/, '')}` };
  if (kind === 'usb') return { source: `v4l2:${where.replace(/^v4l2:/, '')}` };
  if (kind === 'libcamera')
    return { source: where ? `libcamera:${where.replace(/^libcamera:/, '')}` : 'libcamera' };
  const address = /^[a-z]+:\/\//i.test(where) ? where : `rtsp://${where}`;
  const kept = keepsPassword && !password ? ':{password}' : '';
  const signed = (text: string) =>
    user.trim() ? text.replace('://', () => `://${encoded(user.trim())}${kept}@`) : text;
  return {
    source: signed(address),
    ...(sub && { sub_source: signed(sub) }),
    // Of another address that was written since it is not the service.
    ...(onvif && hostOf(onvif) === hostOf(address) && { onvif }),
    ...(password && user.trim() && { password }),
  };
}

const hostOf = (address: string): string =>
  /^[a-z]+:\/\/(?:[^/?#]*@)?(\[[^\]]*\]|[^:/?#]*)/i.exec(address)?.[1]?.toLowerCase() ?? '';

/** Whether an address names no stream, so that the camera or its maker has to tell it. */
export function needsStreams({ kind, place }: SourceFields): boolean {
  const where = place.trim();
  if (kind !== 'network' || !where) return false;
  return /^https?:\/\//i.test(where) || /^(rtsps?:\/\/)?[^/?#]+\/?$/i.test(where);
}

/** A camera that was found, in the fields of the form: its user stands apart. */
export function foundFields(found: FoundCamera): Pick<SourceFields, 'place' | 'sub'> {
  const plain = (source: string) => source.replace(/^([a-z]+:\/\/)[^/?#]*@/i, '$1');
  return { place: plain(found.main.source), sub: found.sub ? plain(found.sub.source) : '' };
}

/** Whether it may send sound with its pictures. */
export const hasOwnSound = ({ kind }: Pick<SourceFields, 'kind'>): boolean =>
  kind === 'network' || kind === 'file';

/** What is wrong with the source, a sentence by field. */
export function sourceProblems(fields: SourceFields): Map<string, string> {
  const { kind, place, user, password } = apart(fields);
  const found = new Map<string, string>();
  const needs = {
    network: t.newCamera.needsAddress,
    usb: t.newCamera.needsDevice,
    file: t.newCamera.needsFile,
  };
  if (kind in needs && !place.trim()) found.set('source', needs[kind as keyof typeof needs]);
  if (kind === 'network' && password && !user.trim()) found.set('user', t.newCamera.needsUser);
  return found;
}

/** What is wrong with the whole. */
export function cameraProblems(fields: CameraFields, taken: readonly string[]): Map<string, string> {
  const found = sourceProblems(fields);
  if (!fields.name.trim()) found.set('name', t.newCamera.needsName);
  if (!ID.test(fields.id)) found.set('id', t.newCamera.badId);
  else if (taken.includes(fields.id)) found.set('id', t.newCamera.takenId);
  return found;
}

/** As the box takes it. */
export function cameraBody(fields: CameraFields): Tree {
  const hasSound = fields.sound !== '' && (fields.sound !== OWN_SOUND || hasOwnSound(fields));
  const sound = hasSound ? { audio: { source: fields.sound } } : {};
  return {
    id: fields.id,
    name: fields.name.trim(),
    ...(fields.room.trim() && { room: fields.room.trim() }),
    ...sourceOf(fields),
    record: { mode: fields.record },
    ...sound,
  };
}

/** What makes a camera so that was added from this form before: what is not there any more goes. */
export function cameraChange(fields: CameraFields): Tree {
  const { id: _, ...body } = cameraBody(fields);
  return { room: null, sub_source: null, audio: { source: null }, ...body };
}
