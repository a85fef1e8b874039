// What this browser runs on: for the name of a new device and the steps that fit it.

export type Platform = 'ios' | 'android' | 'windows' | 'macos' | 'linux';

export function platform(
  agent: string = navigator.userAgent,
  touchPoints: number = navigator.maxTouchPoints,
): Platform {
  if (/iPhone|iPad|iPod/.test(agent)) return 'ios';
  // An iPad calls itself a Mac; no Mac has a touch screen.
  if (/Macintosh/.test(agent)) return touchPoints > 1 ? 'ios' : 'macos';
  if (/Android/.test(agent)) return 'android';
  return /Windows/.test(agent) ? 'windows' : 'linux';
}

/** "iPhone", "Pixel 8", "Firefox on Linux": a first proposal that people may change. */
export function deviceName(
  agent: string = navigator.userAgent,
  touchPoints: number = navigator.maxTouchPoints,
): string {
  if (/iPhone/.test(agent)) return 'iPhone';
  const os = platform(agent, touchPoints);
  if (os === 'ios') return 'iPad';
  if (os === 'android') {
    const model = /Android [^;)]*; ([^;)]+)\)/.exec(agent)?.[1]?.trim();
    // Chrome hides the model behind the letter K.
    return model && model !== 'K' ? model : 'Android phone';
  }
  const names: Record<string, string> = { windows: 'Windows', macos: 'Mac', linux: 'Linux' };
  return `${browserName(agent)} on ${names[os]}`;
}

function browserName(agent: string): string {
  const known: [string, string][] = [
    ['Firefox/', 'Firefox'],
    ['Edg/', 'Edge'],
    ['OPR/', 'Opera'],
    ['Chrome/', 'Chrome'],
    ['Safari/', 'Safari'],
  ];
  return known.find(([mark]) => agent.includes(mark))?.[1] ?? 'Browser';
}
