// Settings in the shape of perch.toml, by their keys: `recording.max_days`.

export type Tree = Record<string, unknown>;

const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What stands at a key; null where nothing does. */
export function valueAt(tree: Tree, key: string): unknown {
  let at: unknown = tree;
  for (const step of key.split('.')) {
    if (!isTree(at)) return null;
    at = at[step];
  }
  return at ?? null;
}

/** A JSON merge patch (RFC 7396) that sets these keys; null is the way back to the default. */
export function patchOf(changes: Iterable<readonly [string, unknown]>): Tree {
  const patch: Tree = {};
  for (const [key, value] of changes) {
    const steps = key.split('.');
    const last = steps.pop()!;
    let at = patch;
    for (const step of steps) {
      const inner = isTree(at[step]) ? at[step] : {};
      at[step] = inner;
      at = inner;
    }
    at[last] = value;
  }
  return patch;
}

/** Whether two values say the same. */
export const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** The table of one camera, or null. */
export function cameraIn(tree: Tree, id: string): { at: number; values: Tree } | null {
  const list = Array.isArray(tree.camera) ? (tree.camera as Tree[]) : [];
  const at = list.findIndex((camera) => camera.id === id);
  return at < 0 ? null : { at, values: list[at]! };
}
