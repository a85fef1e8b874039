// Paints the strip: recorded spans, hatched gaps, events by their score, ruler and playhead.
import { HOUR, toMs } from '../time';
import type { CopyHour, PerchEvent } from '../types';
import { type SpanStretch, type Stretch, layoutStretches } from './layout';
import { ticks } from './ticks';
import { type View, xAt } from './view';

export const HEIGHT = 104;
const TOP = 12;
const BOTTOM = 76;
const HATCH = 7;

export interface Scene {
  view: View;
  width: number;
  nowMs: number;
  playheadMs: number;
  spans: readonly SpanStretch[];
  gaps: readonly Stretch[];
  events: readonly PerchEvent[];
  /** How far the copies of each hour are; none where nothing is copied. */
  hours: readonly CopyHour[];
  range: { fromMs: number; toMs: number } | null;
}

type Palette = Record<
  'text' | 'muted' | 'line' | 'accent' | 'span' | 'gap' | 'sunken' | 'surface' | 'good' | 'busy' | 'bad',
  string
>;

function palette(element: Element): Palette {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    text: colour('text'),
    muted: colour('muted'),
    line: colour('line'),
    accent: colour('accent'),
    span: colour('span'),
    gap: colour('gap'),
    sunken: colour('sunken'),
    surface: colour('surface'),
    good: colour('good'),
    busy: colour('busy'),
    bad: colour('bad'),
  };
}

export function draw(canvas: HTMLCanvasElement, scene: Scene): void {
  const { width, view } = scene;
  const scale = window.devicePixelRatio || 1;
  const pixels = Math.max(1, Math.round(width * scale));
  if (canvas.width !== pixels) canvas.width = pixels;
  if (canvas.height !== Math.round(HEIGHT * scale)) canvas.height = Math.round(HEIGHT * scale);
  const c = canvas.getContext('2d');
  if (!c) return;
  const colours = palette(canvas);
  c.setTransform(scale, 0, 0, scale, 0, 0);
  c.clearRect(0, 0, width, HEIGHT);

  const nowX = Math.min(width, xAt(view, width, scene.nowMs));
  c.fillStyle = colours.sunken;
  c.fillRect(0, TOP, Math.max(0, nowX), BOTTOM - TOP);
  hatch(c, layoutStretches(scene.gaps, view, width), colours.gap);
  c.fillStyle = colours.span;
  for (const { x, w } of layoutStretches(
    scene.spans.filter(({ held }) => held === 'here'),
    view,
    width,
  ))
    c.fillRect(x, TOP + 24, Math.max(1, w), 40);
  // What is on the box no more is an outline.
  c.strokeStyle = colours.span;
  c.lineWidth = 2;
  for (const { x, w } of layoutStretches(
    scene.spans.filter(({ held }) => held !== 'here'),
    view,
    width,
  ))
    c.strokeRect(x + 1, TOP + 25, Math.max(1, w - 2), 38);
  drawEvents(c, scene, colours.accent);
  drawHours(c, scene, colours);
  drawRange(c, scene, colours.accent);
  drawRuler(c, scene, colours);
  drawPlayhead(c, scene, colours);
}

function hatch(c: CanvasRenderingContext2D, rects: { x: number; w: number }[], colour: string): void {
  if (rects.length === 0) return;
  c.save();
  c.beginPath();
  for (const { x, w } of rects) c.rect(x, TOP + 24, Math.max(1, w), 40);
  c.clip();
  c.strokeStyle = colour;
  c.lineWidth = 1.5;
  c.beginPath();
  for (const { x, w } of rects) {
    // Lines stand at the same places whatever the rectangle, so that neighbours match.
    for (let at = Math.floor((x - 40) / HATCH) * HATCH; at < x + w; at += HATCH) {
      c.moveTo(at, BOTTOM);
      c.lineTo(at + 40, BOTTOM - 40);
    }
  }
  c.stroke();
  c.restore();
}

function drawEvents(c: CanvasRenderingContext2D, scene: Scene, colour: string): void {
  const { view, width } = scene;
  c.fillStyle = colour;
  for (const event of scene.events) {
    const left = xAt(view, width, toMs(event.start));
    const right = xAt(view, width, event.end ? toMs(event.end) : scene.nowMs);
    if (right < 0 || left > width) continue;
    // Scores are mostly small parts of the picture: the root tells them apart.
    const height = 16 + Math.sqrt(Math.min(1, Math.max(0, event.score))) * 44;
    const w = Math.max(3, right - left);
    c.beginPath();
    c.roundRect(left, BOTTOM - height, w, height, [Math.min(3, w / 2), Math.min(3, w / 2), 0, 0]);
    c.fill();
    if (event.pinned) {
      c.beginPath();
      c.arc(left + w / 2, TOP + 3, 3, 0, Math.PI * 2);
      c.fill();
    }
  }
}

function drawRange(c: CanvasRenderingContext2D, scene: Scene, colour: string): void {
  if (!scene.range) return;
  const left = xAt(scene.view, scene.width, scene.range.fromMs);
  const right = xAt(scene.view, scene.width, scene.range.toMs);
  c.save();
  c.globalAlpha = 0.25;
  c.fillStyle = colour;
  c.fillRect(left, TOP, right - left, BOTTOM - TOP);
  c.restore();
}

/** Beneath what is recorded, an hour each with a pixel between; thinner where nothing is to be copied. */
function drawHours(c: CanvasRenderingContext2D, scene: Scene, colours: Palette): void {
  const { view, width, nowMs } = scene;
  for (const hour of scene.hours) {
    const startMs = toMs(hour.start);
    const left = Math.max(0, xAt(view, width, startMs));
    const right = Math.min(width, xAt(view, width, Math.min(startMs + HOUR, nowMs)));
    if (right <= left) continue;
    c.fillStyle = { lost: colours.bad, local: colours.busy, copied: colours.accent, verified: colours.good }[
      hour.state
    ];
    const isWanted = hour.state !== 'local' || hour.waiting > 0;
    if (!isWanted) c.fillStyle = colours.gap;
    c.fillRect(left, BOTTOM + 2, Math.max(1, right - left - 1), isWanted ? 4 : 2);
  }
}

function drawRuler(c: CanvasRenderingContext2D, scene: Scene, colours: Palette): void {
  c.font = '12px system-ui, sans-serif';
  c.textBaseline = 'alphabetic';
  let free = 0;
  for (const tick of ticks(scene.view, scene.width)) {
    c.fillStyle = tick.label ? colours.muted : colours.line;
    c.fillRect(Math.round(tick.x), BOTTOM, 1, tick.label ? 8 : 4);
    if (!tick.label) continue;
    const half = c.measureText(tick.label).width / 2;
    // A label at the edge is drawn inside rather than cut, where it leaves its neighbour room.
    const x = Math.min(scene.width - half * 2 - 2, Math.max(2, tick.x - half));
    if (x < free) continue;
    c.fillText(tick.label, x, BOTTOM + 22);
    free = x + half * 2 + 8;
  }
}

function drawPlayhead(c: CanvasRenderingContext2D, scene: Scene, colours: Palette): void {
  const x = xAt(scene.view, scene.width, scene.playheadMs);
  if (x < -8 || x > scene.width + 8) return;
  c.fillStyle = colours.surface;
  c.fillRect(x - 2, 4, 4, BOTTOM);
  c.fillStyle = colours.text;
  c.fillRect(x - 1, 4, 2, BOTTOM);
  c.beginPath();
  c.arc(x, 7, 7, 0, Math.PI * 2);
  c.fill();
}
