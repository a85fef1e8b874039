// The words of copies that are kept elsewhere: where to, how it goes, keys, and opening them.
import type { Asked, Store } from './copies/presets';
import type { NewTarget } from './copies/new-target';
import type { CopyTrouble } from './copies/open-copy';
import type { CopyHour, CopyTargetStatus } from './types';

const many = (n: number, one: string, more: string) => `${n} ${n === 1 ? one : more}`;

/** How far the copies of an hour's recordings are. */
export function hourWords(hour: CopyHour, reason: string): string {
  const { lost, waiting, copied, verified, unwanted } = hour;
  const wanted = lost + waiting + copied + verified;
  const of = (n: number) =>
    n === wanted ? many(n, 'recording', 'recordings') : `${n} of ${wanted} recordings`;
  if (lost > 0) return `${of(lost)} had to be deleted before being copied, because the disk was full`;
  if (waiting > 0) return `${of(waiting)} on the box alone so far${reason && ` (${reason})`}`;
  if (wanted === 0) return 'only events are copied, and nothing here is one';
  if (copied > 0) return `${of(copied)} copied and not checked yet`;
  const rest = unwanted > 0 ? '; what is no event stays on the box' : '';
  return `${of(verified)} copied and checked${rest}`;
}

export const copiesWords = {
  fromCopy: 'From the copy',
  held: {
    copy: 'From the copy: the box has no recording of its own of this moment any more.',
    encrypted:
      'Only an encrypted copy is left of this: download it from the store and open it under System, Copies elsewhere.',
  },
  hour: (from: string, to: string, words: string) => `Copies, ${from} to ${to}: ${words}.`,
  open: {
    title: 'Open a copy',
    lead: 'Choose what you downloaded from your store. It is opened here in the browser: neither file nor key is sent anywhere, not even to the box.',
    files: 'Files of the copy',
    filesHint: 'One recording, or all pieces of one (the files of a folder that ends in “-parts”).',
    key: 'Your key file',
    keyHint: 'Only where the copies are encrypted: the file that you saved when you made the key.',
    noFiles: 'Choose the files first.',
    action: 'Open',
    busy: 'Opening…',
    save: 'Save',
    saveOf: (name: string) => `Save ${name}`,
    pieces: (n: number) => `put together from ${many(n, 'piece', 'pieces')}`,
    trouble: {
      no_key: 'This needs a key: choose your key file, which has a line that begins with AGE-SECRET-KEY-1.',
      wrong_key:
        'It is encrypted for another key than this one. Choose the key file that was made for this box.',
      damaged: 'A file is not whole, or was changed since the box wrote it. Download it again.',
      no_header:
        'These are pieces without their first one, which says how they play. Choose the file whose name begins with 0- as well.',
      several: 'These are pieces of several recordings. Choose those of one folder at a time.',
      too_much:
        'That is more than a browser holds at once. Choose fewer files, or use perch restore on a computer.',
    } satisfies Record<CopyTrouble, string>,
    inFile: (name: string, trouble: string) => `${name}: ${trouble}`,
  },
  encryption: {
    title: 'Encryption',
    choices: {
      none: 'Not encrypted',
      new: 'Encrypted, with a new key',
      own: 'Encrypted, for a key that I have',
    } satisfies Record<NewTarget['encryption'], string>,
    hints: {
      none: 'Whoever runs the store, and whoever gets into it, can look at the copies.',
      new: 'The key is made here in the browser. The box gets the half that encrypts, and cannot open what it sent.',
      own: 'Its public half, as age-keygen shows it.',
    } satisfies Record<NewTarget['encryption'], string>,
    warning:
      'Without the key nobody opens the copies: not the store, not whoever made this box, and not even you. Nobody can make it anew. Keep it in two places where neither the box is nor a burglar comes, such as a password manager and a printout.',
    make: 'Make a key and save it',
    saveAgain: 'Save the key file again',
    show: 'Show the key',
    hide: 'Hide the key',
    fileName: 'perch-copies-key.txt',
    fileSays: 'Opens the copies of your Perch box. Without it nobody can, not even you.',
    prove:
      'Show that you have it, before anything is encrypted for it: type how the saved key ends, or choose the file.',
    tail: (signs: number) => `The last ${signs} characters of the key`,
    file: 'Or the key file that was saved',
    wrongTail: 'The key ends otherwise. Look into the file that was saved.',
    wrongFile: 'That file does not hold this key.',
    proven: 'You have the key. Keep it well.',
    recipient: 'Public key',
    recipientHint: 'It begins with age1. The other half, AGE-SECRET-KEY-1…, stays with you.',
    noRecipient: 'A public key begins with age1 and has 62 characters.',
    noKey: 'Make the key first, or choose not to encrypt.',
    unproven: 'Show first that you have the key: type how it ends, or choose its file.',
    opaque: 'Names say nothing either',
    opaqueHint:
      'Else they show camera and time to whoever sees the store. With the key, perch restore finds everything all the same.',
  },
  grades: { good: 'Good:', warning: 'Mind:', bad: 'Does not work:' },
  stores: {
    aws: 'Amazon S3',
    r2: 'Cloudflare R2',
    b2: 'Backblaze B2',
    wasabi: 'Wasabi',
    minio: 'MinIO',
    garage: 'Garage',
    other: 'Another S3 store',
  } satisfies Record<Store, string>,
  targets: {
    title: 'Where copies go',
    none: 'Nothing is copied. Whoever takes the box takes the recordings with it; a copy in a store of your own stays.',
    lead: 'Recordings are copied while they are made, and nothing is deleted here for age before its copy was checked.',
    add: 'Add a store',
    remove: 'Remove',
    removeOf: (name: string) => `Remove ${name}`,
    sure: (name: string) => `Copy nothing to ${name} any more?`,
    sureText: 'What is there stays there. The keys are forgotten on the box.',
    probe: 'Try it',
    probing: 'Trying it…',
    probeOf: (name: string) => `Try it: ${name}`,
    states: {
      starting: 'Begins',
      copying: 'Copying',
      up_to_date: 'Everything is copied',
      waiting: 'Waits',
      failing: 'Does not work, and is tried again',
      stopped: 'Stopped: somebody must see to it',
    } satisfies Record<CopyTargetStatus['state'], string>,
    what: { events: 'events', all: 'everything' } satisfies Record<CopyTargetStatus['what'], string>,
    copies: 'Copies',
    copied: (n: number, amount: string) => (n === 0 ? 'none yet' : `${n} checked, ${amount}`),
    waiting: 'Still to go',
    waits: (n: number, amount: string, since: string) =>
      n === 0 ? 'nothing' : `${n}, ${amount}${since && `, the oldest from ${since}`}`,
    rate: 'Rate',
    month: 'This month',
    ofMonth: (sent: string, of: string, left: string) => `${sent} of ${of}, ${left} left`,
    last: 'Last copy',
    lost: 'Lost',
    lostMany: (n: number) =>
      `${many(n, 'recording', 'recordings')} had to be deleted for want of space before being copied`,
    evidence: 'The box signs by',
    evidenceHint: (command: string) =>
      `Whoever checks copies compares this key: write it down where the box is not. ${command} asks for it.`,
  },
  form: {
    title: 'A place for copies',
    store: 'Store',
    stepsOf: (store: string) => `What to do at ${store}`,
    bucket: 'Bucket',
    bucketWrong: 'A bucket’s name has 3 to 63 letters, digits, hyphens and dots.',
    prefix: 'Folder in the bucket',
    prefixHint: 'May stay empty. Where two boxes share a bucket each keeps to a folder of its own anyway.',
    access: 'Access key',
    secret: 'Secret key',
    secretHint: 'Kept in a file of its own on the box and never shown again.',
    missing: 'This is needed.',
    what: 'What is copied',
    whats: {
      events: 'Events, as soon as they begin',
      all: 'Everything that is recorded; events first',
    },
    limits: 'Limits',
    mbit: 'At most, in Mbit/s',
    gigabytes: 'At most a month, in GB',
    limitHint: 'Empty for no limit.',
    notANumber: 'Write a number above 0.',
    try: 'Try it',
    trying: 'Trying it…',
    save: 'Save',
    saving: 'Saving…',
    cancel: 'Cancel',
  },
  /** What to click there. */
  steps: {
    aws: [
      'In the S3 console press “Create bucket”, choose a region near you and leave “Block all public access” on.',
      'In IAM make a user without console access, with a policy for this bucket alone: s3:PutObject, s3:GetObject, s3:ListBucket, s3:AbortMultipartUpload and s3:ListMultipartUploadParts. Without s3:DeleteObject whoever steals the box cannot delete the copies; the pieces of running events then stay, too.',
      'On the user’s page, under “Security credentials”, press “Create access key”.',
    ],
    r2: [
      'In the Cloudflare dashboard open R2 and press “Create bucket”.',
      'Under “Manage API tokens” make a token with “Object Read & Write” for this bucket alone.',
      'It shows an access key id and a secret once. The account id stands in the address of the page and on the right of the overview.',
    ],
    b2: [
      'Under “Buckets” press “Create a bucket”; files in the bucket are private.',
      'Under “Application keys” add a key for this bucket alone, with read and write. keyID is the access key, applicationKey the secret.',
      'The region stands beside the bucket as “Endpoint”: s3.REGION.backblazeb2.com.',
    ],
    wasabi: [
      'Press “Create bucket” and choose a region.',
      'Under “Users” make one with programmatic access and a policy for this bucket alone; it shows the keys once.',
    ],
    minio: [
      'In the console press “Create bucket”; versioning keeps what a stolen key would overwrite.',
      'Under “Access keys” make a key with a policy for this bucket alone.',
    ],
    garage: [
      'garage bucket create perch',
      'garage key create perch',
      'garage bucket allow --read --write perch --key perch',
    ],
    other: [
      'Make a bucket, and a key that may put, read and list in this bucket alone. One that may not delete keeps the copies from whoever steals the box.',
    ],
  } satisfies Record<Store, readonly string[]>,
  asked: {
    region: {
      label: 'Region',
      hint: 'As the store names it, such as eu-central-1.',
      wrong: 'A region has small letters, digits and hyphens.',
    },
    account: {
      label: 'Account id',
      hint: '32 digits and letters.',
      wrong: 'The account id has 32 of the digits 0 to 9 and letters a to f.',
    },
    endpoint: {
      label: 'Address',
      hint: 'Such as https://nas.example:9000, without a path.',
      wrong: 'Write the address as https://host or https://host:port, without a path.',
    },
  } satisfies Record<Asked, { label: string; hint: string; wrong: string }>,
} as const;
