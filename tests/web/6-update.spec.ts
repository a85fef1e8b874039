// The card "Version and update" on a box that is no card image: it says which version runs and why nothing can be installed here.
import { expect, test } from '@playwright/test'
import { URL, expectAccessible, expectSilence, signIn } from './steps'

for (const width of [360, 1440]) {
  test(`version and update at ${width} px`, async ({ browser }) => {
    const context = await browser.newContext({ viewport: { width, height: 800 }, ignoreHTTPSErrors: true })
    const page = await context.newPage()
    await signIn(page)
    const silent = expectSilence(page)
    await page.goto(`${URL()}/system`)
    const card = page.getByRole('region', { name: 'Version and update' })
    await expect(card.getByTestId('update-unsupported')).toContainText('card image only')
    await expect(card).toContainText(/\d+\.\d+\.\d+/)
    await expect(card).toContainText(/[0-9a-f]{12}|unknown/)
    await expect(card.getByTestId('update-file')).toHaveCount(0)
    await card.scrollIntoViewIfNeeded()
    await card.screenshot({ path: `test-results/shots/update-${width}.png` })
    await expectAccessible(page)
    silent()
    await context.close()
  })
}
