// Every word on the system under the box: restarts, network, backup, log.

export const words = {
  asking: 'Asking the box about its system…',
  actions: {
    title: 'Restart and switch off',
    lead: 'Nothing is recorded while the box is away.',
    restart: 'Restart Perch',
    reboot: 'Restart the system',
    shutdown: 'Switch off',
    restartText:
      'Perch ends and starts again. Live pictures and recording stop for about ten seconds; this page comes back by itself.',
    rebootText:
      'The whole system starts again. Live pictures and recording stop for about a minute; this page comes back by itself.',
    shutdownText:
      'The system switches itself off. Nothing is recorded until its power is taken away and given back.',
    away: 'The box is away. This page comes back by itself.',
    back: 'The box is back.',
    off: 'The box switches itself off. Wait half a minute before you take its power away.',
    late: 'The box is not back yet. Look whether it has power and is in the network.',
  },
  network: {
    title: 'Name, zone and network',
    name: 'Name in the network',
    nameHint: (name: string) => `The box is found as ${name || '…'}.local`,
    zone: 'Time zone',
    wifi: 'Wi-Fi',
    none: 'None is set',
    signal: (dbm: number) => `${dbm > -60 ? 'good' : dbm > -75 ? 'fair' : 'weak'}, ${dbm} dBm`,
    ssid: 'Network',
    password: 'Password',
    passwordHint: 'Nothing for a network without one',
    country: 'Country',
    countryHint: 'Two letters, such as CH: which channels are allowed',
    wifiText:
      'The box joins this network now. If it does not come up within a minute, the box goes back to the one before.',
    ssh: 'SSH key',
    sshHint: 'The line of a .pub file. Whoever has its other half may do everything on the box.',
    sshOff: 'Switch SSH off',
    sshOffSure: 'Switch SSH off?',
    sshOffText: 'Nobody comes in by SSH any more, and the key is forgotten. This page goes on.',
    needsKey: 'Paste the line of a .pub file first.',
    key: 'Public key',
    sshNone: 'SSH is off',
    save: 'Change',
    nothing: 'Nothing is changed yet.',
    needsWifi: 'Name the network and the country, in two letters.',
    asked: 'The box was asked to; it takes a moment.',
    wifiIs: {
      trying: 'The new network is being tried.',
      up: 'The new network is up.',
      back: 'The new network did not come up; the one before is used again.',
      absent: 'This box has no Wi-Fi device; the network was not kept.',
    } as Record<string, string>,
  },
  log: {
    title: 'Log',
    follow: 'Follow',
    level: 'Weight',
    levels: { info: 'Everything', warn: 'Warnings and faults', error: 'Faults' },
    weight: { info: '', warn: 'warning', error: 'fault' },
    camera: 'Camera',
    anyCamera: 'Any, or none',
    who: 'Who',
    what: 'Text',
    by: (who: string) => `by ${who}`,
    older: 'Show older lines',
    asking: 'Asking the box for its log…',
    none: 'No line fits.',
  },
  backup: {
    title: 'Backup and help',
    lead: 'Settings, the cameras’ passwords, accounts, and who the box is, so that phones go on trusting it; no recordings. Sealed with a password.',
    make: 'Make a backup',
    making: 'Sealing…',
    password: 'Password of the backup',
    passwordHint: (min: number) =>
      `At least ${min} characters. Without it nobody opens the backup, not even you.`,
    made: 'The backup was made. Keep it elsewhere.',
    back: 'Take a backup',
    file: 'File',
    oldPassword: 'Its password',
    look: 'Look what is in it',
    needsBoth: 'Choose the file and type its password.',
    looking: 'Opening…',
    sure: (name: string) => `Take the backup of ${name}?`,
    text: (
      of: { cameras: string[]; accounts: number; stream_passwords: number; restarts: boolean },
      when: string,
    ) =>
      `Made ${when}: ${of.cameras.length === 1 ? '1 camera' : `${of.cameras.length} cameras`}, ${
        of.accounts === 1 ? '1 account' : `${of.accounts} accounts`
      }, ${
        of.stream_passwords === 1 ? '1 stream password' : `${of.stream_passwords || 'no'} stream passwords`
      }. They take the place of those here, and everybody signs in again. Recordings stay. ${
        of.restarts ? 'The box starts again for it.' : 'It is taken when the box is next started.'
      }`,
    take: 'Take it',
    waits: (name: string, when: string) =>
      `The backup of ${name}, made ${when}, is taken when the box is next started. Until then settings and people cannot be changed.`,
    takeBack: 'Do not take it',
    takenBack: 'Nothing is taken. The box stays as it is.',
    restarts: 'The box starts again with what the backup says. Sign in with an account of the backup.',
    startIt: 'The backup is taken when the box is next started.',
    help: 'For who helps you',
    helpText:
      'The state of the box, its settings and the last of its log in one file, without passwords, addresses’ paths, file names and people.',
    bundle: 'Make a support bundle',
    bundleMade: 'The bundle was made. Look into it before you pass it on, if you like.',
  },
  left: {
    title: 'Recordings of cameras that were removed',
    none: 'There are none.',
    line: (size: string, events: number, pinned: number) =>
      `${size}, ${events === 1 ? '1 event' : `${events} events`}${pinned > 0 ? `, ${pinned} pinned` : ''}`,
    delete: 'Delete',
    deleting: 'Being deleted',
    sure: (name: string) => `Delete all recordings of ${name}?`,
    text: (what: string) => `${what}. They are gone for good, pinned ones too.`,
  },
};
