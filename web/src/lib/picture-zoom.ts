// Wheel, pinch, drag and double tap on a picture: enlarges what is inside, without leaving its frame.

const MAX = 8;
const DOUBLE_TAP_MS = 300;
const DOUBLE_TAP_SCALE = 2.5;

interface Point {
  x: number;
  y: number;
}

/** For `@attach` on the frame; the frame's first child is what is moved. */
export function pictureZoom(frame: HTMLElement): () => void {
  const inner = frame.firstElementChild as HTMLElement;
  const pointers = new Map<number, Point>();
  let scale = 1;
  let offset: Point = { x: 0, y: 0 };
  let lastTapMs = 0;

  const apply = () => {
    const { width, height } = frame.getBoundingClientRect();
    offset.x = Math.min(0, Math.max(width * (1 - scale), offset.x));
    offset.y = Math.min(0, Math.max(height * (1 - scale), offset.y));
    inner.style.transformOrigin = '0 0';
    inner.style.transform = scale === 1 ? '' : `translate(${offset.x}px, ${offset.y}px) scale(${scale})`;
    // Not enlarged, the page scrolls under the finger; enlarged, the picture moves.
    frame.style.touchAction = scale === 1 ? 'pan-y' : 'none';
  };

  const local = (event: { clientX: number; clientY: number }): Point => {
    const box = frame.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  const zoomAt = (point: Point, next: number) => {
    const clamped = Math.min(MAX, Math.max(1, next));
    const factor = clamped / scale;
    offset = { x: point.x - (point.x - offset.x) * factor, y: point.y - (point.y - offset.y) * factor };
    scale = clamped;
    apply();
  };

  const onWheel = (event: WheelEvent) => {
    event.preventDefault();
    zoomAt(local(event), scale * Math.exp(-event.deltaY / 400));
  };

  const onDown = (event: PointerEvent) => {
    if ((event.target as Element).closest('button, a')) return;
    pointers.set(event.pointerId, local(event));
    if (pointers.size === 1) {
      if (event.timeStamp - lastTapMs < DOUBLE_TAP_MS) {
        zoomAt(local(event), scale > 1 ? 1 : DOUBLE_TAP_SCALE);
        lastTapMs = 0;
      } else {
        lastTapMs = event.timeStamp;
      }
    }
    if (scale > 1 || pointers.size > 1) frame.setPointerCapture(event.pointerId);
  };

  const onMove = (event: PointerEvent) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const point = local(event);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const distance = (a: Point, b: Point) => Math.hypot(a.x - b.x, a.y - b.y) || 1;
      const middle = { x: (point.x + other.x) / 2, y: (point.y + other.y) / 2 };
      zoomAt(middle, scale * (distance(point, other) / distance(before, other)));
    } else if (scale > 1) {
      offset = { x: offset.x + point.x - before.x, y: offset.y + point.y - before.y };
      apply();
    }
    pointers.set(event.pointerId, point);
  };

  const onUp = (event: PointerEvent) => pointers.delete(event.pointerId);

  apply();
  frame.addEventListener('wheel', onWheel, { passive: false });
  frame.addEventListener('pointerdown', onDown);
  frame.addEventListener('pointermove', onMove);
  frame.addEventListener('pointerup', onUp);
  frame.addEventListener('pointercancel', onUp);
  return () => {
    frame.removeEventListener('wheel', onWheel);
    frame.removeEventListener('pointerdown', onDown);
    frame.removeEventListener('pointermove', onMove);
    frame.removeEventListener('pointerup', onUp);
    frame.removeEventListener('pointercancel', onUp);
  };
}
