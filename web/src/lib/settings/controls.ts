// What a camera itself can be set to, as a form shows it. Pure.
import { words as t } from '../en-settings';
import type { PictureControl } from '../types';

type Group = PictureControl['group'];

/** By group, in the box's order. */
export function grouped(controls: readonly PictureControl[]): [Group, PictureControl[]][] {
  const groups = new Map<Group, PictureControl[]>();
  for (const control of controls) {
    const group = groups.get(control.group) ?? [];
    group.push(control);
    groups.set(control.group, group);
  }
  return [...groups];
}

/** Without the noise of a slider that counts in parts: 0.30000000000000004 is 0.3. */
export const usable = (n: number): number => Number(n.toPrecision(9));

/** A value as people read it. */
export function told(control: PictureControl, value: unknown): string {
  if (value === null || value === undefined) return t.controls.unknown;
  if (typeof value === 'boolean') return value ? t.on : t.off;
  if (typeof value === 'number') {
    const unit = control.unit === 'us' ? 'µs' : (control.unit ?? '');
    return `${String(usable(value)).replace('-', '−')}${unit && `\u00a0${unit}`}`;
  }
  return control.choices?.find((choice) => choice.value === value)?.label ?? String(value);
}
