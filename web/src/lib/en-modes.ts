// What the page says of cameras that are switched off, of profiles and of schedules, in English.
import type { Gap, OffBy } from './types';

export const words = {
  switchOff: 'Switch off',
  switchOn: 'Switch on',
  switchOffCamera: (camera: string) => `Switch off ${camera}`,
  switchOnCamera: (camera: string) => `Switch on ${camera}`,
  switchAllOff: 'Switch all cameras off',
  allOff: 'All off',
  allOn: 'All on',
  offTitle: (camera: string) => `Switch ${camera} off?`,
  allOffTitle: 'Switch all cameras off?',
  offMeans:
    'Nothing is recorded, nobody can watch or listen, and the device itself is closed. Everybody who may see it reads that you switched it off.',
  untilOn: 'Until I switch it on',
  allUntilOn: 'Until I switch them on',
  oneHour: 'For 1 hour',
  untilTomorrow: (time: string) => `Until tomorrow ${time}`,
  /** Who switched it off. */
  by: (by: OffBy): string => {
    switch (by.kind) {
      case 'person':
        return `by ${by.name ?? ''}`;
      case 'profile':
        return `by the profile ${by.name ?? ''}`;
      case 'schedule':
        return `by the schedule ${by.name ?? ''}`;
      case 'box':
        return 'because the box no longer knows what was off';
    }
  },
  off: (by: string, since: string) => `Switched off ${by} since ${since}`,
  offShort: (by: string) => `Switched off ${by}`,
  until: (time: string) => `On again at ${time}`,
  gap: (gap: Pick<Gap, 'by'>) => (gap.by ? `Switched off ${words.by(gap.by)}` : 'Switched off'),
  whole: (by: string, since: string) => `All cameras are switched off ${by} since ${since}.`,
  profiles: 'Profile',
  bySchedule: 'By schedule',
  noProfile: 'None',
  profileNow: (name: string, by: string) => `${name}, chosen by ${by}`,
  nextChange: (time: string) => `Next change by itself: ${time}`,
  edit: 'Profiles and schedules',
  page: {
    back: 'Back to the cameras',
    loading: 'Loading…',
    profiles: 'Profiles',
    profilesLead:
      'A profile says what is different from each camera’s own settings while it is active. Choose one on Live with a tap, or let a schedule do it. A new profile changes nothing yet: set in it what each camera does.',
    noProfiles: 'No profile yet. Most homes want these:',
    suggested: { home: 'Home', away: 'Away', night: 'Night' } as Record<string, string>,
    addProfile: 'Another profile',
    addedName: 'New profile',
    name: 'Name',
    removeProfile: (name: string) => `Remove ${name}`,
    inProfile: (camera: string) => `${camera} in this profile`,
    how: {
      own: 'As its own settings say',
      continuous: 'Recorded always',
      motion: 'Recorded around motion',
      none: 'Watched, not recorded',
      off: 'Switched off',
    },
    schedules: 'Schedules',
    schedulesLead: (zone: string) =>
      `At these hours a profile is active, or cameras are off. Where two choose a profile, the upper one counts. Times are those of ${zone}.`,
    noSchedules: 'No schedule yet.',
    addSchedule: 'Add a schedule',
    schedule: (n: number) => `Schedule ${n}`,
    days: 'Begins on',
    dayNames: {
      mon: 'Mon',
      tue: 'Tue',
      wed: 'Wed',
      thu: 'Thu',
      fri: 'Fri',
      sat: 'Sat',
      sun: 'Sun',
    } as Record<string, string>,
    from: 'From',
    to: 'To',
    nextDay: 'Ends on the next day.',
    profile: 'Profile',
    noneChosen: 'None',
    offCameras: 'Switched off',
    offNone: 'No camera',
    offAll: 'All cameras',
    offSome: 'These cameras',
    up: 'Move up',
    removeSchedule: 'Remove',
    save: 'Save',
    saving: 'Saving…',
    saved: 'Saved.',
    discard: 'Discard changes',
    overtaken:
      'Somebody else changed the settings while you were here. What you changed is kept; look at both, then save again.',
    theirs: (what: string) =>
      `Somebody else set this meanwhile: ${what}. Yours is kept here until you save it.`,
    theyRemoved: 'Somebody else removed this profile meanwhile. Yours is kept here until you save it.',
    theirSchedules: (what: string) =>
      `Somebody else changed the schedules meanwhile: ${what || 'none are left'}. Yours are kept here until you save them.`,
    useTheirs: 'Take theirs',
    setting: (what: string, value: string) => `${what}: ${value}`,
    scheduleIs: (days: string, from: string, to: string, what: string) => `${days} ${from} to ${to}, ${what}`,
    profileIs: (name: string) => `profile ${name}`,
    offIs: (names: string) => `${names} off`,
    everyDay: 'every day',
    all: 'all cameras',
    profileLegend: (name: string) => `Profile ${name}`,
    needsSomething: 'Each schedule needs a profile, or cameras that are switched off.',
    sameTimes: 'A schedule cannot end when it begins; a whole day is 00:00 to 00:00.',
    needsTimes: 'Each schedule needs a time from which and one until which it holds.',
    needsName: 'Each profile needs a name.',
  },
};
