// How each camera is heard on this device, remembered: whether, and how loud. And which of several.
import { Stored } from './stored.svelte';

export interface CameraSound {
  isOn: boolean;
  /** 0 to 1. */
  volume: number;
}

const QUIET: CameraSound = { isOn: false, volume: 1 };
/** Cameras come and go: no more are remembered. */
const MAX_CAMERAS = 64;

const remembered = new Stored<Record<string, CameraSound>>('sound', {});

export const sounds = {
  /** The camera that is heard where several are seen; empty: none. */
  heard: new Stored<string>('heard', ''),

  of(camera: string): CameraSound {
    const { isOn, volume } = { ...QUIET, ...remembered.value[camera] };
    return { isOn: isOn === true, volume: clamped(volume) };
  },

  set(camera: string, change: Partial<CameraSound>): void {
    const { [camera]: before, ...others } = remembered.value;
    const kept = Object.entries(others).slice(1 - MAX_CAMERAS);
    remembered.value = { ...Object.fromEntries(kept), [camera]: { ...QUIET, ...before, ...change } };
  },
};

const keepsOn = new Stored<boolean>('keep-awake', false);

export const screen = {
  /** The screen stays on while a camera is watched or heard. */
  get isKeptOn(): boolean {
    return keepsOn.value;
  },
  set isKeptOn(on: boolean) {
    keepsOn.value = on;
  },
};

function clamped(volume: unknown): number {
  return typeof volume === 'number' && volume >= 0 && volume <= 1 ? volume : QUIET.volume;
}
