// The words of listening to a camera.
export const soundWords = {
  label: 'Sound',
  volume: 'Volume',
  soundOnly: 'Sound only',
  keepAwake: 'Keep the screen on',
  listening: (camera: string) => `Listening to ${camera}`,
  noPicture: 'No picture is sent. The sound goes on while this device is locked.',
  isOff: 'The sound is switched off.',
  connecting: 'Connecting…',
  level: 'How loud it is there',
  quiet: 'quiet',
  loud: (percent: number) => `${percent} percent`,
  darken: 'Dark screen',
  showPicture: 'Picture',
  brighten: 'Tap, or press any key, to come back.',
} as const;
