// A person at a browser with a device that holds passkeys. They find things as people do: by role and name. What
// they are told is judged by the walk, not here.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

const PATIENCE_MS = 15_000;
const PASSWORD = 'Correct-Horse7';

/** Where pictures of every state go, for people to look at; none are taken when it is not set. */
const SCREENSHOTS = process.env.CLAVIGER_SCREENSHOTS;
const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

export class Person {
  /** Complaints of the page that no person would see: script errors, our own failures, calls to elsewhere. */
  complaints = [];
  password = PASSWORD;
  #context;
  #devices;
  #device;
  #pictures = 0;

  /**
   * Opens the page in a fresh browser profile, with one device at hand.
   *
   * @param passkeys What the device holds already; see `takePasskeys`.
   */
  static async arrive(browser, url, { name, passkeys = [] }) {
    const person = new Person();
    person.name = name;
    person.email = `${name}@example.com`;
    person.#context = await browser.newContext({ viewport: SIZES.desktop });
    person.#context.setDefaultTimeout(PATIENCE_MS);
    person.page = await person.#context.newPage();
    person.#listen();
    person.#devices = await person.#context.newCDPSession(person.page);
    await person.#devices.send('WebAuthn.enable');
    await person.attachDevice(passkeys);
    await person.page.goto(url);
    return person;
  }

  #listen() {
    this.page.on('pageerror', (error) => this.complaints.push(`the page threw: ${error.stack}`));
    this.page.on('request', (request) => {
      const { protocol, hostname } = new URL(request.url());
      if (protocol.startsWith('http') && hostname !== 'localhost') {
        this.complaints.push(`the page called ${request.url()}`);
      }
    });
    this.page.on('response', (response) => {
      if (response.status() >= 500) {
        this.complaints.push(`${response.request().method()} ${response.url()}: ${response.status()}`);
      }
    });
  }

  async leave() {
    await this.#context.close();
  }

  // The device

  /** A device with a fingerprint reader or the like, built into the computer. It recognizes its owner at once. */
  async attachDevice(passkeys = []) {
    const { authenticatorId } = await this.#devices.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        ctap2Version: 'ctap2_1',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    this.#device = authenticatorId;
    for (const credential of passkeys) {
      await this.#devices.send('WebAuthn.addCredential', { authenticatorId, credential });
    }
  }

  /** Without a device the browser keeps waiting for one, and its prompt stays open. */
  async detachDevice() {
    await this.#devices.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId: this.#device });
  }

  /** Whether the device recognizes the person from now on. If not, the browser ends ceremonies as it ends cancelled ones. */
  async setRecognized(isRecognized) {
    await this.#devices.send('WebAuthn.setUserVerified', {
      authenticatorId: this.#device,
      isUserVerified: isRecognized,
    });
  }

  /** A copy of what the device holds, for another. */
  async takePasskeys() {
    const { credentials } = await this.#devices.send('WebAuthn.getCredentials', {
      authenticatorId: this.#device,
    });
    return credentials;
  }

  // What the person does

  async press(name) {
    await this.page.getByRole('button', { name, exact: true }).click();
  }

  async follow(name) {
    await this.page.getByRole('link', { name, exact: true }).click();
  }

  async enterEmail(email = this.email) {
    await this.page.getByLabel('Email', { exact: true }).fill(email);
  }

  async enterPassword(password = this.password) {
    await this.page.getByLabel('Password', { exact: true }).fill(password);
  }

  /** From the page "Sign up" to a confirmed account. */
  async signUp() {
    await this.enterEmail();
    await this.enterPassword();
    await this.press('Sign up');
    await this.sees('Sign in');
    await this.isTold('Welcome! Your account is ready. Now sign in with your password.');
  }

  async signInWithPassword() {
    await this.enterEmail();
    await this.enterPassword();
    await this.press('Sign in');
    await this.sees('Your account');
  }

  async signInWithPasskey() {
    await this.enterEmail();
    await this.press('Try signing in with a passkey');
    await this.sees('Your account');
  }

  async addPasskey() {
    await this.press('Add a passkey');
    await this.isTold('Passkey added. Sign out, then sign in with it.');
  }

  async signOut() {
    await this.press('Sign out');
    await this.sees('Sign in');
    await this.isTold('You are signed out.');
  }

  // What the person sees

  /** Waits for the page with this title. */
  async sees(title) {
    await this.page.getByRole('heading', { level: 1, name: title, exact: true }).waitFor();
  }

  /** Waits for this very status message. */
  async isTold(text) {
    await this.page
      .getByRole('status')
      .and(this.page.getByText(text, { exact: true }))
      .waitFor();
  }

  /** @returns the alert, once there is one. A new attempt clears the last one before anything else happens. */
  async refusal() {
    const alert = this.page.getByRole('alert').filter({ hasText: /\S/ });
    await alert.waitFor();
    return alert.innerText();
  }

  /** @returns the claims of the access token as the page shows them. */
  async claims() {
    const rows = this.page.getByRole('region', { name: 'Access token' }).getByRole('row');
    const claims = {};
    for (const row of await rows.all()) {
      const cell = row.getByRole('cell');
      if ((await cell.count()) === 0) continue; // The table's head.
      const [name] = (await row.getByRole('rowheader').innerText()).split('\n');
      const [value] = (await cell.innerText()).split('\n');
      claims[name] = value;
    }
    return claims;
  }

  /** @returns the steps of the guide that are ticked. */
  async stepsDone() {
    const steps = this.page.getByRole('complementary', { name: 'The guide' }).getByRole('listitem');
    const texts = await steps.filter({ hasText: '(done)' }).allTextContents();
    return texts.map((text) => text.split('(done)')[0].trim());
  }

  /** The page in words, as a screen reader has it. */
  async describe() {
    return this.page.getByRole('main').ariaSnapshot();
  }

  /** Takes pictures of the page as it is: wide and narrow, light and dark. */
  async picture(state) {
    if (!SCREENSHOTS) return;
    mkdirSync(SCREENSHOTS, { recursive: true });
    this.#pictures += 1;
    const number = String(this.#pictures).padStart(2, '0');
    for (const [size, viewport] of Object.entries(SIZES)) {
      await this.page.setViewportSize(viewport);
      for (const colorScheme of ['light', 'dark']) {
        await this.page.emulateMedia({ colorScheme });
        const file = `${this.name}-${number}-${state}-${size}-${colorScheme}.png`;
        await this.page.screenshot({ path: join(SCREENSHOTS, file), fullPage: true, animations: 'disabled' });
      }
    }
    await this.page.emulateMedia({ colorScheme: null });
    await this.page.setViewportSize(SIZES.desktop);
  }
}
