// Every page at phone and desktop width, dark and light: accessible, nothing wider than the screen, nothing on the console; a
// screenshot of each is left in test-results/shots for somebody to look at.
import { expect, test } from '@playwright/test'
import { URL, expectAccessible, expectSilence, settled, signIn } from './steps'

const pages = {
  live: { path: '/', shows: /^tile-test$/ },
  camera: { path: '/camera/door', shows: /^timeline$/ },
  events: { path: '/events', shows: /^event-card-/ },
  system: { path: '/system', shows: /^state-sentence$/ },
}
const widths = { phone: { width: 360, height: 740 }, desktop: { width: 1440, height: 900 } }

for (const [width, viewport] of Object.entries(widths)) {
  for (const colorScheme of ['light', 'dark'] as const) {
    test(`pages at ${width} width, ${colorScheme}`, async ({ browser }) => {
      const context = await browser.newContext({ viewport, colorScheme, ignoreHTTPSErrors: true })
      const page = await context.newPage()
      await page.goto(`${URL()}/login`)
      await page.screenshot({ path: `test-results/shots/login-${width}-${colorScheme}.png` })
      await signIn(page)
      const silent = expectSilence(page)
      for (const [name, { path, shows }] of Object.entries(pages)) {
        await page.goto(URL() + path)
        await expect(page.getByTestId(shows).first()).toBeVisible()
        await settled(page)
        await page.screenshot({ path: `test-results/shots/${name}-${width}-${colorScheme}.png`, fullPage: true })
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
        expect(overflow, `${name} is not wider than the screen`).toBeLessThanOrEqual(0)
        await expectAccessible(page)
      }
      silent()
      await context.close()
    })
  }
}

test('a revoked device is led to the login page by itself', async ({ browser }) => {
  const [one, two] = await Promise.all([browser.newContext({ ignoreHTTPSErrors: true }), browser.newContext({ ignoreHTTPSErrors: true })])
  const [keeper, leaver] = [await one.newPage(), await two.newPage()]
  await signIn(keeper)
  await signIn(leaver, { ofItsOwn: true })
  const id = await leaver.evaluate(async () => (await (await fetch('/api/v1/me')).json()).device_id)
  const status = await keeper.evaluate(async (d) => (await fetch(`/api/v1/devices/${d}`, { method: 'DELETE' })).status, id)
  expect(status).toBe(204)
  await expect(leaver.getByRole('button', { name: /sign in/i })).toBeVisible()
  await one.close()
  await two.close()
})
