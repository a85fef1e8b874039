// How much data a live picture may cost on this device, megabytes an hour; 0: as much as it takes.
import { Stored } from './stored.svelte';

export const DATA_BUDGETS_MB = [0, 100, 250, 500, 1000] as const;

export const dataBudget = new Stored<number>('data-budget', 0);
