// First start: an unclaimed box, its one-time password, a name for the device, an account.
import { expect, test } from '@playwright/test'
import { URL, USER, expectAccessible, signIn, typeCode } from './steps'

test('an unclaimed box leads to pairing, counts tries, and pairs with the right code', async ({ page }) => {
  await page.goto(`${URL()}/`)
  await expect(page.getByText('This box is not yet yours')).toBeVisible()
  await expectAccessible(page)
  for (const [name, size] of Object.entries({ phone: { width: 360, height: 740 }, desktop: { width: 1440, height: 900 } })) {
    await page.setViewportSize(size)
    await page.screenshot({ path: `test-results/shots/pair-${name}.png` })
  }
  const otp = process.env.PERCH_TEST_OTP ?? ''
  const wrong = otp.replace(/\d/g, (d) => String((Number(d) + 1) % 10))
  await typeCode(page, wrong)
  await expect(page.getByText(/4 tries/i)).toBeVisible()
  await typeCode(page, otp)
  await page.getByLabel('Name', { exact: true }).fill(USER.name)
  await page.getByLabel('Password', { exact: true }).fill(USER.password)
  await expectAccessible(page)
  await page.getByRole('button', { name: 'Create account' }).click()
  await expect(page.getByText('About the certificate warning')).toBeVisible()
  await expectAccessible(page)
  await page.getByRole('button', { name: 'Go to the cameras' }).click()
  await expect(page.getByTestId('nav-live').first()).toBeVisible()
})

test('a wrong password is refused in plain words, the right one signs in', async ({ page }) => {
  await page.goto(`${URL()}/login`)
  await page.getByLabel('Name', { exact: true }).fill(USER.name)
  await page.getByLabel('Password', { exact: true }).fill('not the password')
  await page.getByRole('button', { name: /sign in/i }).click()
  await expect(page.getByRole('alert')).toBeVisible()
  await expectAccessible(page)
  await signIn(page)
})

test('without a session every page leads to the login page', async ({ page }) => {
  for (const path of ['/', '/events', '/system', '/camera/test']) {
    await page.goto(URL() + path)
    await expect(page.getByRole('button', { name: /sign in/i })).toBeVisible()
  }
})
