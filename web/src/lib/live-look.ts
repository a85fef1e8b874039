// How the large stream's element is drawn live where the browser by itself does not show what the camera wants to be seen.
import type { CameraInfo } from './types';

export interface LiveLook {
  /** Width by height of what is seen. */
  ratio: number;
  /** CSS. */
  transform: string;
  /** Whether the element lies on its side before it is transformed. */
  isOnSide: boolean;
}

type Shape = Pick<CameraInfo, 'width' | 'height' | 'display_width' | 'orientation'>;

/** Width by height of a camera's picture, where none came yet the usual one. */
export function ratioOf(camera: Pick<Shape, 'display_width' | 'height'>): number {
  return camera.display_width && camera.height ? camera.display_width / camera.height : 16 / 9;
}

/** What is left to do; nothing where the browser shows it right. `isTurned`: it follows the quarters, which is all that it is told. */
export function liveLook(camera: Shape, isTurned: boolean): LiveLook | null {
  const { mirrored, quarters } = camera.orientation;
  const turn = isTurned ? 0 : quarters;
  if (camera.display_width === camera.width && turn === 0 && !mirrored) return null;
  // Mirrored before it is turned: of what is turned already, that is the other way on its side.
  const mirror = isTurned && quarters % 2 === 1 ? 'scaleY(-1)' : 'scaleX(-1)';
  const steps = [turn > 0 ? `rotate(${turn * 90}deg)` : '', mirrored ? mirror : ''].filter(Boolean);
  return {
    ratio: ratioOf(camera),
    transform: steps.join(' ') || 'none',
    isOnSide: turn % 2 === 1,
  };
}

/** Whether the box says to this browser how pictures are turned (3GPP TS 26.114 7.4.5): only where the browser asked for it. */
export function followsOrientation(peer: RTCPeerConnection | null): boolean {
  return peer?.remoteDescription?.sdp.includes('urn:3gpp:video-orientation') ?? false;
}
