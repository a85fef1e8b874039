// Reads QR codes in a picture by script, for browsers without a reader of their own. Large: loaded only when somebody scans.
import decodeQR from 'qr/decode.js';

/** Wider pictures hold no more of a code that is held in front of a phone, and cost time. */
const WIDTH = 640;

const canvas = document.createElement('canvas');

export async function read(video: HTMLVideoElement): Promise<string[]> {
  if (!video.videoWidth) return [];
  const width = Math.min(WIDTH, video.videoWidth);
  const height = Math.round((video.videoHeight * width) / video.videoWidth);
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) return [];
  context.drawImage(video, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  try {
    return [decodeQR({ width, height, data })];
  } catch {
    // It throws where there is none.
    return [];
  }
}
