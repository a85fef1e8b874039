// Every word about people, their devices, players and who is watching, in English.

const plural = (n: number, one: string, many: string) => `${n} ${n === 1 ? one : many}`;

export const words = {
  title: 'People and their devices',
  asking: 'Asking the box who may come in…',
  nobody: 'Nobody has an account yet. With one, a person signs in from any browser.',
  add: 'Add a person',
  addTitle: 'Add a person',
  addLead: 'A person signs in with a name and a password, on as many devices as they like.',
  create: 'Add',
  you: 'you',
  thisDevice: 'this device',
  role: { admin: 'Administrator', viewer: 'Viewer' },
  noDevice: 'Not signed in anywhere.',
  lone: 'Without an account',
  loneLead: 'Devices that were paired with a one-time password and belong to nobody’s account.',
  change: 'Change',

  access: {
    what: 'What may they do?',
    whatYou: 'What may you do?',
    role: {
      viewer: 'Viewer: watch and listen',
      admin: 'Administrator: everything, also change the box and its people',
    },
    cameras: 'Cameras',
    all: 'All, also those that are added later',
    some: 'Only these',
    none: 'Choose at least one camera.',
    gone: (id: string) => `${id} (removed)`,
    liveOnly: 'Live pictures only: what is recorded stays closed',
    until: 'Access ends',
    untilHint: 'Leave it empty for access without an end.',
    past: 'The end must be in time to come.',
    allCameras: 'all cameras',
    live: 'live only',
    ends: (when: string) => `until ${when}`,
    ended: (when: string) => `ended ${when}`,
  },

  person: {
    changeLabel: (name: string) => `Change what ${name} may do`,
    save: 'Save',
    ends: 'Live pictures and downloads that are open on their devices end, and begin again with what they may still see.',
    password: 'Change password',
    remove: 'Remove',
    removeLabel: (name: string) => `Remove ${name}`,
    removeTitle: (name: string) => `Remove ${name}?`,
    removeText: (name: string, devices: number) =>
      devices === 0
        ? `${name} cannot sign in any more.`
        : `${name} cannot sign in any more, and ${plural(devices, 'device is', 'devices are')} signed out at once.`,
  },

  device: {
    kind: { paired: 'paired', session: 'signed in' },
    seen: (kind: string, when: string) => `${kind}, last seen ${when}`,
    watching: (n: number) => `watching ${plural(n, 'live picture', 'live pictures')}`,
    cutOff: (until: string) => `cut off until ${until}`,
    of: (name: string, person: string | null) => (person ? `${name} of ${person}` : name),
    changeLabel: (name: string) => `Change ${name}`,
    title: (name: string) => name,
    name: 'Name',
    nameHint: 'Such as “Kitchen tablet”: so that you know it again.',
    nameMissing: 'Give it a name.',
    save: 'Rename',
    remove: 'Remove this device',
    removeTitle: (name: string) => `Remove ${name}?`,
    since: (kind: string, when: string, seen: string) => `${kind} ${when}, last seen ${seen}.`,
    lone: 'It loses access at once, and its live pictures end. To come back it needs a new invitation.',
    how: 'What else?',
    only: (person: string) =>
      `Only this device. It is signed out at once, but whoever knows ${person}’s password can sign in on it again.`,
    password: (person: string) =>
      `Change ${person}’s password too. All of ${person}’s devices are signed out at once.`,
    ownPassword: 'Change your password too. All of your other devices are signed out at once.',
    account: (person: string) =>
      `Remove ${person}’s account too. All of ${person}’s devices lose access at once.`,
    confirm: 'Remove',
  },

  invite: {
    button: 'Invite a phone',
    title: 'Invite a phone',
    lead: 'Pairs one phone or tablet without a password. For somebody who uses several devices, add a person instead.',
    make: 'Make an invitation',
    scan: 'Scan this with the phone’s camera, or send the link.',
    qr: 'QR code with the pairing address',
    share: 'Share the link',
    copy: 'Copy the link',
    copied: 'Link copied',
    failed: 'This browser does not let the page share or copy. Copy the address above by hand.',
    typed: 'Or open this address on the phone and type the digits:',
    left: (left: string) =>
      `Works once, for another ${left}, where the box’s address can be reached: at home, in its own network.`,
    warning: 'What the phone will show first',
    warningSteps: [
      'The browser says that the connection is not private: the box made its own certificate, which no company vouches for.',
      'Chrome and Android: tap “Advanced”, then “Proceed”. iPhone: tap “Show Details”, then “visit this website”. Firefox: “Advanced”, then “Accept the Risk and Continue”.',
      'The page then opens by itself, with the digits filled in. System, “This device” says how to end the warning for good.',
    ],
    shareTitle: (box: string) => `Watch “${box}”`,
    shareText: (box: string, until: string, digits: string) =>
      `Open this link to watch “${box}”. It works once, until ${until}, in the box’s own network. Your browser will warn first, because the box made its own certificate: choose “Advanced” and “Proceed” (iPhone: “Show Details”, “visit this website”). If it asks for a one-time password: ${digits}`,
    paired: (name: string) => `${name} is paired.`,
    expired: 'This invitation is too old. Make a new one.',
  },

  mine: {
    title: 'Your access',
    asking: 'Asking the box for your devices…',
    ends: (when: string) => `It ends ${when}.`,
  },

  password: {
    title: (name: string) => `Change ${name}’s password`,
    ownTitle: 'Change your password',
    change: 'Change password',
    ends: (name: string) => `All devices of ${name} are signed out.`,
    ownEnds: 'Your other devices are signed out; this one stays.',
    done: 'The password is changed.',
  },

  players: {
    title: 'Players',
    lead: 'VLC, a recorder or Home Assistant read the cameras by RTSP, each with a password of its own. They watch live and do nothing else.',
    empty: 'No player has a password yet.',
    add: 'Add a player',
    name: 'Name of the player',
    create: 'Make a password',
    once: 'The password is shown only now: copy what you need before you close this.',
    password: 'Password',
    camera: 'Camera',
    stream: 'Stream',
    main: 'Main',
    sub: 'Small',
    encrypted: 'Encrypted (RTSPS)',
    address: 'Address',
    homeAssistant: 'For Home Assistant',
    homeAssistantHint: 'Into configuration.yaml, then restart Home Assistant.',
    go2rtc: 'For go2rtc',
    go2rtcHint: 'Into go2rtc.yaml, beside what stands there below “streams”.',
    remove: 'Remove',
    removeLabel: (name: string) => `Remove the player ${name}`,
    removeTitle: (name: string) => `Remove the player ${name}?`,
    removeText: 'Whatever plays with its password stops at once and cannot come back.',
    since: (when: string) => `since ${when}`,
    plays: (n: number) => `${plural(n, 'stream', 'streams')} playing now`,
  },

  watching: {
    title: 'Who is watching now',
    nobody: 'Nobody is watching live now. Live viewers will appear here.',
    watches: (camera: string, stream: string, since: string) => `${camera}, ${stream} stream, since ${since}`,
    stream: { main: 'main', sub: 'small' },
    player: (name: string) => `Player ${name}`,
    connecting: 'connecting',
    sent: (amount: string) => `${amount} sent`,
    cutOff: 'Cut off',
    cutOffLabel: (name: string) => `Cut off ${name}`,
    cutOffTitle: (name: string) => `Cut off ${name}?`,
    cutOffText: (minutes: number) =>
      `All its pictures end at once, live and recorded, and for ${minutes} minutes it gets no new ones, however it comes back. Its page says that it was you. You can let it back in here before that; a restart of the box does so too.`,
    cutOffPlayer: (minutes: number) =>
      `Everything that plays with this password stops at once and is refused for ${minutes} minutes. You can let it back in here before that; a restart of the box does so too.`,
    isCutOff: 'Cut off',
    until: (when: string, by: string) => `Cut off until ${when} by ${by}`,
    letIn: 'Let back in',
    letInLabel: (name: string) => `Let back in: ${name}`,
  },
};
