// What tests do again and again: get in, look into WebRTC, wait for pictures, look for accessibility violations.
import { AxeBuilder } from '@axe-core/playwright'
import { type Cookie, type Page, expect } from '@playwright/test'

export const URL = () => process.env.PERCH_TEST_URL ?? ''
export const USER = { name: 'anna', password: 'a long enough password' }

/** The session that most tests share: the box slows down whoever signs in again and again. */
let shared: Cookie[] = []

/** Signs this page's browser in: with the session that the first test made, or through the login page with one of its own. */
export async function signIn(page: Page, { ofItsOwn = false } = {}) {
  if (shared.length > 0 && !ofItsOwn) {
    await page.context().addCookies(shared)
    await page.goto(`${URL()}/live`)
    await expect(page.getByTestId('nav-live').first()).toBeVisible()
    return
  }
  await page.goto(`${URL()}/login`)
  await page.getByLabel('Name', { exact: true }).fill(USER.name)
  await page.getByLabel('Password', { exact: true }).fill(USER.password)
  await page.getByRole('button', { name: /sign in/i }).click()
  await expect(page.getByTestId('nav-live').first()).toBeVisible()
  if (!ofItsOwn) shared = await page.context().cookies()
}

/** Types a pairing code digit by digit and sends it. */
export async function typeCode(page: Page, code: string) {
  await page.getByTestId('otp-0').click()
  for (let i = 0; i < code.length; i++) await page.getByTestId(`otp-${i}`).fill(code[i])
  await page.getByTestId('pair-submit').click()
}

/** Waits until the live pictures in view play and every still in view has come. */
export async function settled(page: Page) {
  await page.waitForFunction(() => {
    const inView = (e: Element) => e.getBoundingClientRect().top < innerHeight
    const seen = (selector: string) => [...document.querySelectorAll<HTMLElement>(selector)].filter(inView)
    const playing = seen('[data-testid=live-video]').every((v) => v.dataset.phase === 'playing')
    return playing && seen('img').every((i) => (i as HTMLImageElement).complete)
  })
}

/** Fails the test when the page prints anything to the console, or when a script fails. */
export function expectSilence(page: Page): () => void {
  const said: string[] = []
  page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`))
  page.on('response', (answer) => answer.status() >= 400 && said.push(`${answer.status()}: ${answer.url()}`))
  page.on('pageerror', (error) => said.push(`error: ${error.message}`))
  return () => expect(said).toEqual([])
}

/** Remembers every RTCPeerConnection of the page, so that tests can ask for its statistics. Call before the page loads. */
export async function watchPeers(page: Page) {
  await page.addInitScript(() => {
    const Native = window.RTCPeerConnection
    const peers: RTCPeerConnection[] = []
    Object.assign(window, { peers })
    window.RTCPeerConnection = class extends Native {
      constructor(config?: RTCConfiguration) {
        super(config)
        peers.push(this)
      }
    }
  })
}

export interface Received {
  framesDecoded: number
  freezeCount: number
  audioSamples: number
}

/** What the page's open connections have received, one row each. */
export function received(page: Page): Promise<Received[]> {
  return page.evaluate(async () => {
    const peers = (window as unknown as { peers: RTCPeerConnection[] }).peers
    const rows = []
    for (const peer of peers.filter((p) => p.connectionState === 'connected')) {
      const row = { framesDecoded: 0, freezeCount: 0, audioSamples: 0 }
      for (const report of (await peer.getStats()).values()) {
        if (report.type !== 'inbound-rtp') continue
        if (report.kind === 'video') {
          row.framesDecoded += report.framesDecoded ?? 0
          row.freezeCount += report.freezeCount ?? 0
        } else row.audioSamples += report.totalSamplesReceived ?? 0
      }
      rows.push(row)
    }
    return rows
  })
}

/** No violation that axe calls serious or critical. */
export async function expectAccessible(page: Page) {
  const { violations } = await new AxeBuilder({ page }).analyze()
  const grave = violations.filter((v) => v.impact === 'serious' || v.impact === 'critical')
  expect(grave.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(' | ')}`)).toEqual([])
}
