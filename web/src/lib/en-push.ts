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
