// The whole screen for an element, and back.

/** iPhones give the whole screen only to a video, and only by their own name. */
type OwnWay = HTMLVideoElement & { webkitEnterFullscreen?: () => void };

export async function toggleFullScreen(
  element: HTMLElement | undefined,
  video?: HTMLVideoElement,
): Promise<void> {
  if (document.fullscreenElement) await document.exitFullscreen();
  else if (element?.requestFullscreen) await element.requestFullscreen();
  else (video as OwnWay | undefined)?.webkitEnterFullscreen?.();
}
