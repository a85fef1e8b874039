// Gestures on the strip, by fingers, mouse and wheel: drag, tap, pinch, wheel, hover.

export interface Gestures {
  onDragStart(x: number): void;
  /** Pixels since the drag began. */
  onDrag(dx: number): void;
  onDragEnd(): void;
  onTap(x: number): void;
  /** `factor` above 1: the fingers moved apart. */
  onZoom(factor: number, x: number): void;
  /** Sideways by wheel or trackpad. */
  onScroll(dx: number): void;
  onHover(x: number | null): void;
}

/** A finger that moved less than this has not dragged. */
const SLACK_PX = 5;

export function gestures(element: HTMLElement, handlers: Gestures): () => void {
  const pointers = new Map<number, number>();
  let downX = 0;
  let isDragging = false;
  let isPinching = false;

  const local = (event: MouseEvent) => event.clientX - element.getBoundingClientRect().left;

  const onDown = (event: PointerEvent) => {
    if (event.button !== 0 || (event.target as Element).closest('[data-handle]')) return;
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, local(event));
    handlers.onHover(null);
    if (pointers.size === 1) {
      downX = local(event);
      isPinching = false;
    } else {
      if (isDragging) handlers.onDragEnd();
      isDragging = false;
      isPinching = true;
    }
  };

  const onMove = (event: PointerEvent) => {
    const before = pointers.get(event.pointerId);
    const x = local(event);
    if (before === undefined) {
      if (event.pointerType === 'mouse') handlers.onHover(x);
      return;
    }
    if (isPinching) {
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      if (other !== undefined) {
        const factor = Math.max(1, Math.abs(x - other)) / Math.max(1, Math.abs(before - other));
        handlers.onZoom(factor, (x + other) / 2);
      }
    } else if (isDragging) {
      handlers.onDrag(x - downX);
    } else if (Math.abs(x - downX) > SLACK_PX) {
      isDragging = true;
      // From here on, so that nothing jumps by the slack.
      downX = x;
      handlers.onDragStart(x);
    }
    pointers.set(event.pointerId, x);
  };

  const onUp = (event: PointerEvent) => {
    if (!pointers.delete(event.pointerId)) return;
    if (isDragging) handlers.onDragEnd();
    else if (!isPinching && event.type === 'pointerup') handlers.onTap(local(event));
    isDragging = false;
    if (pointers.size === 0) isPinching = false;
  };

  const onLeave = () => handlers.onHover(null);

  const onWheel = (event: WheelEvent) => {
    event.preventDefault();
    handlers.onHover(null);
    const isSideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (isSideways) handlers.onScroll(event.deltaX || event.deltaY);
    else handlers.onZoom(Math.exp(-event.deltaY / 300), local(event));
  };

  const listeners: [string, EventListener][] = [
    ['pointerdown', onDown as EventListener],
    ['pointermove', onMove as EventListener],
    ['pointerup', onUp as EventListener],
    ['pointercancel', onUp as EventListener],
    ['pointerleave', onLeave],
    ['wheel', onWheel as EventListener],
  ];
  for (const [type, listener] of listeners) element.addEventListener(type, listener, { passive: false });
  return () => {
    for (const [type, listener] of listeners) element.removeEventListener(type, listener);
  };
}
