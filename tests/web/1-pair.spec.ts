// First start: an unclaimed box, its one-time password, a name for the device, an account.
import { expect, test } from '@playwright/test'
import { URL, USER, expectAccessible, signIn } from './steps'

test('an unclaimed box leads to pairing, counts tries, and pairs with the right code', async ({ page }) => {
  await page.goto(`${URL()}/`)
  await expect(page.getByText('This box is not yet yours')).toBeVisible()
  await expectAccessible(page)
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

async function typeCode(page: import('@playwright/test').Page, code: string) {
  await page.getByTestId('otp-0').click()
  for (let i = 0; i < code.length; i++) await page.getByTestId(`otp-${i}`).fill(code[i])
  await page.getByTestId('pair-submit').click()
}
