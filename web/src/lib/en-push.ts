// The words of sending a camera on to other servers.
export const pushWords = {
  title: 'Sending to other servers',
  lead: 'The live picture is sent there for as long as the box runs, also while nobody watches: to a streaming service, or to a server of yours that serves any number of viewers. It leaves the house.',
  none: 'It is sent nowhere.',
  stream: 'Which stream',
  streamOf: (to: string) => `Which stream goes to ${to}`,
  address: 'Address of the server',
  addressHint:
    'rtmp://host/app/KEY, rtsp://host/name, srt://host:port?streamid=…, or https://… where the server takes WHIP. Keys and passwords are kept in a file of their own on the box and never shown again.',
  needsAddress: 'Write the whole address, such as rtmp://host/live/KEY.',
  add: 'Send there',
  remove: 'Remove',
  removeOf: (to: string) => `Remove ${to}: send nothing there any more`,
  tooMany: (most: number) => `${most} servers are enough: each is sent the whole stream.`,
  isNew: 'Begins when you save.',
  states: {
    waiting: 'Waits for a picture of the camera.',
    connecting: 'The server is being reached…',
    off: 'The camera is switched off.',
  },
  sending: (sent: string) => `Sending; ${sent} so far.`,
  failing: (why: string) => `Does not work, and is tried again: ${why}`,
} as const;

// The words of sending a clip to another server.
export const rangeWords = {
  open: 'Send to a server',
  /** Where little room is; what opens says the rest. */
  short: 'Send',
  title: 'Send this clip to a server',
  lead: 'It is played to the server as fast as it was recorded: a streaming service shows it to its viewers as if it were live. It leaves the house.',
  address: 'Address of the server',
  addressHint: 'rtmp://host/app/KEY or rtmps://host/app/KEY. It is used for this clip alone and not kept.',
  needsAddress: 'Write the whole address, such as rtmp://host/live/KEY.',
  send: 'Send',
  sending: 'Sending…',
  listed: 'Clips sent to servers',
  what: (from: string, to: string, server: string) => `${from} to ${to}, to ${server}`,
  progress: (server: string) => `How much of it was sent to ${server}`,
  stop: 'Stop',
  stopOf: (server: string) => `Stop sending to ${server}`,
  forget: 'Remove',
  forgetOf: (server: string) => `Remove what was sent to ${server} from the list`,
} as const;
