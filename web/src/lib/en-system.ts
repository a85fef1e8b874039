// Every word of the parts of System and of the page's frame that en.ts does not hold already, in English.

const plural = (n: number, one: string, many: string) => `${n} ${n === 1 ? one : many}`;

export const words = {
  parts: 'Parts of System',
  back: 'System',
  /** Of the overview. */
  asking: 'Asking the box how it is…',
  askingPeople: 'Asking the box who may come in…',
  unknownNow: 'Not known: the box is not reached.',
  staleSince: (when: string) => `The box is not reached since ${when}. What stands here is from before.`,
  allWell: (cameras: number) => `${plural(cameras, 'camera', 'cameras')}, all with a picture.`,
  notSynchronised: 'The clock is not set by a time server.',
  goTo: {
    camera: (name: string) => `Look at ${name}`,
    storage: 'Look at the storage',
    box: 'Look at the box',
    add: 'Add a camera',
  },
  title: {
    overview: 'Overview',
    cameras: 'Cameras',
    storage: 'Storage',
    people: 'People',
    device: 'This device',
    box: 'Box',
    log: 'Log',
  },
  line: {
    overview: { ok: 'Everything works', degraded: 'Something needs you' },
    noCameras: 'No camera yet',
    cameras: (n: number) => `${plural(n, 'camera', 'cameras')}, all with a picture`,
    camerasBad: (n: number, bad: number) => `${bad} of ${n} with a fault`,
    storage: (free: string) => `${free} free`,
    storageDays: (free: string, days: string) =>
      `${free} free, holds about ${plural(Number(days), 'day', 'days')}`,
    storageBad: 'Needs you',
    watching: (n: number) => (n === 0 ? 'Nobody is watching now' : `${n} watching now`),
    device: (name: string, user: string | null) => (user ? `${name}, ${user}` : name),
    box: (version: string, running: string) => `Version ${version}, running for ${running}`,
    log: 'What the box does and did',
    logBad: (n: number) => `${plural(n, 'task waits', 'tasks wait')} for the next attempt`,
  },
  details: 'Details',
  unknownPage: (path: string) =>
    `There is nothing at the address ${path}. It may be mistyped, or from another version.`,
  toLive: 'Go to the cameras',
};
