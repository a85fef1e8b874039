// The words of speaking through a camera.
export const talkWords = {
  title: 'Speaking through the camera',
  hold: 'Hold to talk',
  stop: 'Stop talking',
  holdHint: 'Hold the button or the space bar while you speak.',
  handsFree: 'Hands-free',
  chime: 'Chime',
  level: 'How loud you are',
  opening: 'Asking for the microphone…',
  connecting: 'Connecting…',
  speaking: (seconds: number | null) =>
    seconds === null ? 'You are heard.' : `You are heard, for ${seconds} s more.`,
  somebodySpeaks: (name: string) => `${name} is speaking.`,
  place: (place: number) => (place === 1 ? 'You are next.' : `You are number ${place} in line.`),
  yourTurn: 'It is your turn: hold to talk.',
  wait: 'Wait in line',
  leave: 'Leave the line',
  takeOver: 'Take over',
  ended: 'Your time is over, or somebody took over.',
  blocked: 'The way for sound to the box is blocked: it needs UDP, as the live picture does.',
  lost: 'The connection broke off: try again.',
  insecure:
    'The browser gives no microphone here: open the box by its https address with a certificate that this device trusts.',
  denied:
    'The browser refuses the microphone: allow it for this page in the browser’s settings, then try again.',
  none: 'This device has no microphone.',
  busy: 'The microphone is used by another program: end that, then try again.',
} as const;
