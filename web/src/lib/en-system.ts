// Every word of the parts of System and of the page's frame that en.ts does not hold already, in English.

const plural = (n: number, one: string, many: string) => `${n} ${n === 1 ? one : many}`;

export const words = {
  parts: 'Parts of System',
  back: 'System',
  /** Of the overview. */
  asking: 'Asking the box how it is…',
  staleSince: (when: string) => `The box is not reached since ${when}. What stands here is from before.`,
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
    overview: { ok: 'Everything works', degraded: 'Something needs you', lost: 'Not reached' },
    noCameras: 'No camera yet',
    cameras: (n: number) => `${plural(n, 'camera', 'cameras')}, all with a picture`,
    camerasOff: (n: number, off: number) => `${plural(n, 'camera', 'cameras')}, ${off} switched off`,
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
  hours: { title: 'Times', auto: 'As the browser', '12': '5:30 PM', '24': '17:30' },
  zone: {
    title: 'Time zone',
    here: 'Mine',
    box: 'The box’s',
    are: (mine: string, box: string) => `Mine is ${mine}, the box’s is ${box}.`,
    hint: 'Days begin and times are written by it, on this device alone.',
  },
  update: {
    look: 'Look for an update and install it',
    looksAt: (address: string) =>
      `From ${address}, where the box also looks by itself. It is installed only where it is newer, for this board, and signed.`,
    noAddress: 'No address is set at which the box looks for new versions:',
  },
  storage: {
    recordings: (amount: string) => `${amount} of recordings`,
    none: 'Nothing recorded yet',
    other: (amount: string) => `${amount} of other files`,
    free: (free: string, total: string) => `${free} free of ${total}`,
    atLeast: (days: string) =>
      `Holds at least ${days} days at the cameras’ bit rates of now, were all recorded all the time. After a day it is known better.`,
    unknown: 'How many days fit is known as soon as a camera that is recorded sends pictures.',
    perCamera: 'What each camera needs, recorded all the time',
    aDay: (amount: string) => `${amount} a day`,
    medium: { sd_card: 'SD card', emmc: 'Storage chip', other: 'Disk' },
    noMedium: 'The system does not say what the recordings lie on, so nothing is known of how worn it is.',
  },
  arrange: 'Arrange',
  rooms: 'Rooms',
  allRooms: 'All',
  earlier: (camera: string) => `Move ${camera} forward`,
  later: (camera: string) => `Move ${camera} back`,
  nowAt: (camera: string, place: number, of: number) => `${camera} is now ${place} of ${of}.`,
  favourites: 'Favourites',
  favourite: (camera: string) => `${camera} is a favourite`,
  isFavourite: (camera: string) => `${camera} is a favourite now.`,
  isNoFavourite: (camera: string) => `${camera} is no favourite any more.`,
  oneFavourite: 'Favourite',
  notArranged: 'The order is not kept.',
  hear: (camera: string) => `Sound of ${camera}`,
  details: 'Details',
  notReached: (since: string) => `The box is not reached since ${since}.`,
  tryingNow: 'Trying now…',
  lastPicture: (when: string) => `Last picture ${when}`,
  unknownPage: (path: string) =>
    `There is nothing at the address ${path}. It may be mistyped, or from another version.`,
  toLive: 'Go to the cameras',
};
