// The form of a place that copies go to: what it becomes in the settings, and what is wrong with it. Pure.
import { copiesWords } from '../en-copies';
import { isRecipient } from './owner-key';
import { type Answers, type Asked, NO_ANSWERS, PRESETS, type Store, fits } from './presets';

export interface NewTarget {
  store: Store;
  answers: Answers;
  bucket: string;
  prefix: string;
  access: string;
  secret: string;
  what: 'events' | 'all';
  /** Megabit a second at most; empty for no limit. */
  mbit: string;
  /** Gigabytes a month at most; empty for no limit. */
  gigabytes: string;
  /** For nobody, for a key that was made on the page, or for one that the owner has. */
  encryption: 'none' | 'new' | 'own';
  /** The public key that copies are encrypted for. */
  recipient: string;
  /** The owner showed that they have what opens the copies. */
  isKeyProven: boolean;
  /** Names in the store say nothing. */
  opaque: boolean;
}

export const NEW_TARGET: NewTarget = {
  store: 'aws',
  answers: NO_ANSWERS,
  bucket: '',
  prefix: '',
  access: '',
  secret: '',
  what: 'events',
  mbit: '',
  gigabytes: '',
  encryption: 'none',
  recipient: '',
  isKeyProven: false,
  opaque: false,
};

/** One entry of `sync`, as the box takes it: the keys as they are, which it moves into files of their own. */
export interface TargetBody {
  endpoint: string;
  region: string;
  bucket: string;
  access_key: string;
  secret_key: string;
  what: 'events' | 'all';
  prefix?: string;
  max_bytes_per_s?: number;
  monthly_bytes?: number;
  encrypt_to?: string[];
  opaque?: boolean;
}

export type TargetField = Asked | 'bucket' | 'access' | 'secret' | 'mbit' | 'gigabytes' | 'key';

const t = copiesWords;
const BYTES_OF_MBIT = 125_000;
const BYTES_OF_GB = 1_000_000_000;
/** Amazon S3 User Guide, "Bucket naming rules"; stores of one's own take capital letters and underscores as well. */
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/;

/** A number above nothing, or null; commas as people write them. */
function amount(text: string): number | null {
  const value = Number(text.trim().replace(',', '.'));
  return Number.isFinite(value) && value > 0 ? value : null;
}

/** What is wrong, by field; nothing when the box may be asked. */
export function targetProblems(target: NewTarget): Map<TargetField, string> {
  const problems = new Map<TargetField, string>();
  for (const asked of PRESETS[target.store].asks)
    if (!fits(target.store, asked, target.answers)) problems.set(asked, t.asked[asked].wrong);
  if (!BUCKET.test(target.bucket.trim())) problems.set('bucket', t.form.bucketWrong);
  if (target.access.trim() === '') problems.set('access', t.form.missing);
  if (target.secret.trim() === '') problems.set('secret', t.form.missing);
  for (const field of ['mbit', 'gigabytes'] as const)
    if (target[field].trim() !== '' && amount(target[field]) === null) problems.set(field, t.form.notANumber);
  const { encryption, recipient, isKeyProven } = target;
  if (encryption === 'own' && !isRecipient(recipient)) problems.set('key', t.encryption.noRecipient);
  if (encryption === 'new' && !recipient) problems.set('key', t.encryption.noKey);
  else if (encryption === 'new' && !isKeyProven) problems.set('key', t.encryption.unproven);
  return problems;
}

export function targetBody(target: NewTarget): TargetBody {
  const preset = PRESETS[target.store];
  const prefix = target.prefix.trim().replace(/^\/+|\/+$/g, '');
  const [mbit, gigabytes] = [amount(target.mbit), amount(target.gigabytes)];
  return {
    endpoint: preset.endpoint(target.answers),
    region: preset.region(target.answers),
    bucket: target.bucket.trim(),
    access_key: target.access.trim(),
    secret_key: target.secret.trim(),
    what: target.what,
    ...(prefix && { prefix }),
    ...(mbit && { max_bytes_per_s: Math.round(mbit * BYTES_OF_MBIT) }),
    ...(gigabytes && { monthly_bytes: Math.round(gigabytes * BYTES_OF_GB) }),
    ...(target.encryption !== 'none' && { encrypt_to: [target.recipient.trim()] }),
    ...(target.encryption !== 'none' && target.opaque && { opaque: true }),
  };
}
