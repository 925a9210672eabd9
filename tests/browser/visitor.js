// Somebody on a customer's page, at a computer with a fingerprint reader. What is on the page does not concern this file.

const PATIENCE_MS = 15_000;

export class Visitor {
  /** What the page did that it must not, or could not. */
  complaints = [];
  page;
  #context;
  #devices;
  #reader;

  /** Opens the page in a fresh browser profile. */
  async arrive(browser, url) {
    this.#context = await browser.newContext();
    this.#context.setDefaultTimeout(PATIENCE_MS);
    this.page = await this.#context.newPage();
    this.page.on('pageerror', (error) => this.complaints.push(`the page threw: ${error.stack}`));
    this.#devices = await this.#context.newCDPSession(this.page);
    await this.#devices.send('WebAuthn.enable');
    await this.attachReader();
    await this.page.goto(url);
  }

  async leave() {
    await this.#context.close();
  }

  /** The reader recognizes its owner at once, who has a finger on it. One that cannot recognize knows touches only. */
  async attachReader({ recognizes = true, passkeys = [] } = {}) {
    const { authenticatorId } = await this.#devices.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        ctap2Version: 'ctap2_1',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: recognizes,
        isUserVerified: recognizes,
        automaticPresenceSimulation: true,
      },
    });
    this.#reader = authenticatorId;
    for (const credential of passkeys) {
      await this.#devices.send('WebAuthn.addCredential', { authenticatorId, credential });
    }
  }

  /** Without a reader the browser waits for one, and its prompt stays open. */
  async detachReader() {
    await this.#devices.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId: this.#reader });
  }

  /** New requests of the browser wait for a finger, and go on waiting when there is one again. */
  removeFinger() {
    return this.#setFinger(false);
  }

  putFinger() {
    return this.#setFinger(true);
  }

  #setFinger(enabled) {
    const authenticatorId = this.#reader;
    return this.#devices.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled });
  }

  /** What the reader holds. */
  async passkeys() {
    const { credentials } = await this.#devices.send('WebAuthn.getCredentials', {
      authenticatorId: this.#reader,
    });
    return credentials;
  }
}
