// The order of the cameras on the live page.
import { expect, it } from 'vitest';
import { hasFavourites, inOrder, inRoom, marked, moved, roomsOf } from './camera-order';

const list = ['front', 'yard', 'shed', 'loft'].map((id) => ({ id }));
const ids = (order: string[]) => inOrder(list, order).map(({ id }) => id);

it('is the box’s until somebody moves one, and stays where a camera comes or goes', () => {
  expect(ids([])).toEqual(['front', 'yard', 'shed', 'loft']);
  expect(ids(['loft', 'gone', 'yard'])).toEqual(['loft', 'yard', 'front', 'shed']);
});

it('puts one at a place, at most at an end', () => {
  const all = ids([]);
  expect(moved(all, 'shed', 0)).toEqual(['shed', 'front', 'yard', 'loft']);
  expect(moved(all, 'front', 2)).toEqual(['yard', 'shed', 'front', 'loft']);
  expect(moved(all, 'front', 9)).toEqual(['yard', 'shed', 'loft', 'front']);
  expect(moved(all, 'front', -1)).toEqual(all);
  expect(moved(all, 'gone', 0)).toEqual(all);
});

it('shows one room, and all where the room is gone', () => {
  const rooms = [
    { id: 'front', room: 'Outside' },
    { id: 'loft', room: '' },
    { id: 'yard', room: ' Outside' },
    { id: 'hall', room: 'Ground floor' },
  ];
  expect(roomsOf(rooms)).toEqual(['Outside', 'Ground floor']);
  expect(inRoom(rooms, 'Outside').map(({ id }) => id)).toEqual(['front', 'yard']);
  expect(inRoom(rooms, '')).toHaveLength(4);
  expect(inRoom(rooms, 'Cellar')).toHaveLength(4);
});

it('leads with favourites as they are marked, and leaves a camera where it is when it is one no more', () => {
  const all = ['front', 'yard', 'shed', 'loft'];
  const one = marked({ order: [], favourites: [] }, all, 'shed');
  expect(one).toEqual({ order: ['shed', 'front', 'yard', 'loft'], favourites: ['shed'] });
  const two = marked(one, one.order, 'loft');
  expect(two).toEqual({ order: ['shed', 'loft', 'front', 'yard'], favourites: ['shed', 'loft'] });
  expect(marked(two, two.order, 'shed')).toEqual({ order: two.order, favourites: ['loft'] });
  expect(marked({ order: [], favourites: [] }, all, 'front')).toEqual({ order: [], favourites: ['front'] });
});

it('shows favourites alone only where there are many cameras and not all are marked', () => {
  const five = [...list, { id: 'hall' }];
  expect(hasFavourites(list, ['front'])).toBe(false);
  expect(hasFavourites(five, [])).toBe(false);
  expect(hasFavourites(five, ['gone'])).toBe(false);
  expect(hasFavourites(five, ['front'])).toBe(true);
  expect(hasFavourites(five, ['front', 'yard', 'shed', 'loft', 'hall'])).toBe(false);
});
