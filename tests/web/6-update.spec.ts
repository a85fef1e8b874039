// The card "Version and update" on a box that is no card image: it says which version runs and why nothing can be installed here.
import { expect, expectSilence, test } from './steps';

test('version and update on a box that was installed otherwise', async ({ page }) => {
  const silent = expectSilence(page);
  await page.goto('/system/box');
  const card = page.getByRole('region', { name: 'Version and update' });
  await expect(card.getByTestId('update-unsupported')).toContainText('card image only');
  await expect(card).toContainText(/\d+\.\d+\.\d+/);
  await expect(card).toContainText(/[0-9a-f]{12}|unknown/);
  await expect(card.getByTestId('update-file')).toHaveCount(0);
  for (const width of [360, 1440]) {
    await page.setViewportSize({ width, height: 800 });
    await card.screenshot({ path: `test-results/shots/update-${width}.png` });
  }
  silent();
});
