/** How often the browser's statistics are read. */
export const MEASURE_MS = 2000;
/** So many measures in a row make a link poor, or well again: three, six seconds, do not flicker. */
const IN_A_ROW = 3;
/** Where the server's quality classes end too (`sfu/report.py`): ITU-T G.1010 for loss, G.114 for delay. */
const POOR_LOSS = 0.1;
const POOR_RTT_MS = 400;

const perSecond = (now, before, name, seconds) => Math.max(0, ((now[name] ?? 0) - (before[name] ?? 0)) / seconds);

/** What the statistics of both connections say of what is seen and of the link, from one measure to the next. */
export class Quality {
  #last = new Map();
  #against = 0;

  /** `good` or `poor`: one's own way to the server and back. */
  link = 'good';
  /** Of the way to the server and back, in milliseconds; null before it is known. */
  rttMs = null;

  /**
   * Read one measure of each connection.
   * @param {RTCStats[]} publish
   * @param {RTCStats[]} subscribe
   * @returns {Map<string, {width, height, frameRate, bitrate, codec, lossRate}>} each received track by its browser's
   *   id; bit rates in bits a second, loss from 0 to 1
   */
  read(publish, subscribe) {
    const before = this.#last;
    this.#last = new Map([...publish, ...subscribe].map((report) => [`${report.type}/${report.id}`, report]));
    const codecs = new Map(subscribe.filter(({ type }) => type === 'codec').map((codec) => [codec.id, codec.mimeType]));
    const tracks = new Map();
    let [lost, expected] = [0, 0];
    for (const report of subscribe) {
      if (report.type !== 'inbound-rtp') continue;
      const last = before.get(`${report.type}/${report.id}`);
      const seconds = last && (report.timestamp - last.timestamp) / 1000;
      if (!seconds) continue;
      const missing = Math.max(0, report.packetsLost - last.packetsLost);
      const due = missing + report.packetsReceived - last.packetsReceived;
      [lost, expected] = [lost + missing, expected + due];
      tracks.set(report.trackIdentifier, {
        width: report.frameWidth ?? 0,
        height: report.frameHeight ?? 0,
        frameRate: perSecond(report, last, 'framesDecoded', seconds),
        bitrate: 8 * perSecond(report, last, 'bytesReceived', seconds),
        codec: codecs.get(report.codecId)?.split('/')[1] ?? '',
        lossRate: due > 0 ? missing / due : 0,
      });
    }
    const reported = publish.filter(({ type }) => type === 'remote-inbound-rtp').map(({ fractionLost }) => fractionLost);
    this.#judge(Math.max(expected > 0 ? lost / expected : 0, ...reported.map((fraction) => fraction ?? 0)), [
      ...publish,
      ...subscribe,
    ]);
    return tracks;
  }

  #judge(lossRate, reports) {
    const pairs = reports.filter(({ type, nominated }) => type === 'candidate-pair' && nominated);
    const trips = pairs.map(({ currentRoundTripTime }) => currentRoundTripTime).filter((seconds) => seconds !== undefined);
    this.rttMs = trips.length ? Math.max(...trips) * 1000 : null;
    const poor = lossRate >= POOR_LOSS || (this.rttMs ?? 0) >= POOR_RTT_MS;
    // counted towards the other state only: one measure that agrees with what is said begins the count anew
    this.#against = poor === (this.link === 'poor') ? 0 : this.#against + 1;
    if (this.#against < IN_A_ROW) return;
    this.link = poor ? 'poor' : 'good';
    this.#against = 0;
  }
}
