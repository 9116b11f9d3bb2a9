"""Every codec that Chromium offers passes through: nothing is decoded on the way, so nothing needs to know it."""

from collections.abc import Callable

import pytest

from .person import Person

MakePerson = Callable[..., Person]

PREFER = """
  const add = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (track, options) {
    const transceiver = add.call(this, track, options);
    if (track.kind === 'video') {
      const { codecs } = RTCRtpSender.getCapabilities('video');
      const wanted = codecs.filter(({ mimeType }) => mimeType === 'video/%s');
      transceiver.setCodecPreferences([...wanted, ...codecs.filter(({ mimeType }) => mimeType === 'video/rtx')]);
    }
    return transceiver;
  };"""


@pytest.mark.parametrize("codec", ["VP8", "VP9", "H264", "AV1"])
def test_a_call_in_each_codec(somebody: MakePerson, codec: str) -> None:
    alice, bob = somebody("alice"), somebody("bob")
    alice.page.add_init_script(PREFER % codec)
    alice.sign_up()
    address = alice.create_meeting(codec)
    alice.join()
    bob.enter(address)
    bob.sees_and_hears(alice)
    used = bob.page.evaluate("""async () => {
      const { subscribe } = await meetCall.stats();
      const all = subscribe.filter(({ type }) => type === 'codec');
      const codecs = new Map(all.map(({ id, mimeType }) => [id, mimeType]));
      return subscribe.filter(({ type, kind }) => type === 'inbound-rtp' && kind === 'video')
        .map(({ codecId }) => codecs.get(codecId));
    }""")
    assert used == [f"video/{codec}"]
