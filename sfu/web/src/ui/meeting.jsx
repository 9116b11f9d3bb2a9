import { useEffect, useRef, useState } from 'preact/hooks';
import { Call, supportsEncryption } from '../client/index.js';
import { capture } from './devices.js';
import { addressWith, passphraseOf, videoOf } from './links.js';
import { Lobby } from './lobby.jsx';
import { Room } from './room.jsx';
import { CANNOT_ENCRYPT, apiProblem, deviceProblem, endedProblem, mutedByOther, notTaken, unplugged } from './words.js';

/** One meeting, from the look in the mirror to the goodbye. Owns the captured tracks. */
export function Meeting({ api, user, meetingId, onLeave, onSignedOut }) {
  const [meeting, setMeeting] = useState(null);
  const [tracks, setTracks] = useState({});
  const [problem, setProblem] = useState(null);
  const [call, setCall] = useState(null);
  const [joining, setJoining] = useState(false);
  const [passphrase, setPassphrase] = useState(() => passphraseOf(location.href));
  const [asked, setAsked] = useState(!passphrase);
  const live = useRef({ tracks: {}, opening: new Set(), joining: false, call: null, gone: false });

  // at once in `live`, for whoever comes before the next rendering: a device may open while the room is being joined
  const keep = (source, track) => {
    live.current.tracks = { ...live.current.tracks, [source]: track };
    setTracks(live.current.tracks);
  };

  /** Start a device; a device that is not there is a sentence, never the end. */
  const start = async (source) => {
    if (live.current.opening.has(source)) return;
    live.current.opening.add(source);
    try {
      const track = await capture(source);
      if (live.current.gone) {
        track.stop();
        return;
      }
      track.addEventListener('ended', () => {
        if (live.current.tracks[source] !== track) return;
        stop(source);
        if (source !== 'screen') setProblem(unplugged(source));
      });
      keep(source, track);
      await live.current.call?.publish(source, track);
    } catch (error) {
      setProblem(deviceProblem(source, error));
    } finally {
      live.current.opening.delete(source);
    }
  };
  const stop = (source) => {
    live.current.tracks[source]?.stop();
    keep(source, null);
    live.current.call?.publish(source, null);
  };

  /** The microphone stays open while muted; camera and screen give the device back, and its light goes off. */
  const toggle = (source) => {
    const track = live.current.tracks[source];
    setProblem(null);
    if (!track) return start(source);
    if (source !== 'microphone') return stop(source);
    if (live.current.call) live.current.call.enable(source, !track.enabled);
    else track.enabled = !track.enabled;
    return setTracks((all) => ({ ...all }));
  };

  /** Out of the call, to wherever the browser goes. */
  const part = () => {
    const { call: current } = live.current;
    live.current.call = null;
    setCall(null);
    current?.leave();
  };

  useEffect(() => {
    api.meeting(meetingId).then(setMeeting, (error) => setProblem(apiProblem(error)));
    start('microphone');
    start('camera');
    // a page that is closed says goodbye, or the others would look at its last picture until the server gives it up
    addEventListener('pagehide', part);
    return () => {
      removeEventListener('pagehide', part);
      live.current.gone = true;
      part();
      for (const track of Object.values(live.current.tracks)) track?.stop();
    };
  }, []);

  const join = async () => {
    if (live.current.joining) return;
    if (passphrase && !supportsEncryption()) {
      setProblem(CANNOT_ENCRYPT);
      return;
    }
    live.current.joining = true;
    setJoining(true);
    try {
      const door = await api.socketTicket(); // the seat is taken by joining over the socket
      if (live.current.gone) return;
      let first = door.ticket;
      const next = new Call({
        url: door.signaling_url.replace(/^.*?\/\/[^/]+/, location.origin.replace(/^http/, 'ws')),
        roomId: meetingId,
        iceServers: door.ice_servers,
        userInfo: { username: user.username, avatar_url: user.avatar_url },
        ticket: async () => {
          const unspent = first;
          first = null;
          return unspent ?? (await api.socketTicket()).ticket;
        },
        video: videoOf(location.search),
        encryption: passphrase ? { passphrase, meetingId: meeting.meeting_id } : null,
      });
      // the link that is copied from here is whole
      if (passphrase) history.replaceState(null, '', addressWith(location.href, passphrase));
      for (const [source, track] of Object.entries(live.current.tracks)) if (track) next.publish(source, track);
      next.addEventListener('ended', ({ detail }) => {
        if (live.current.call !== next) return;
        live.current.call = null;
        setCall(null);
        if (detail.reason === 'left') onLeave();
        else if (detail.reason === 'unauthorized') onSignedOut();
        else setProblem(endedProblem(detail));
        if (detail.reason === 'no-passphrase') setMeeting((known) => ({ ...known, require_e2ee: true }));
      });
      next.addEventListener('muted', ({ detail: { source } }) => {
        if (source !== 'microphone') stop(source);
        setProblem(mutedByOther(source));
      });
      next.addEventListener('refused', ({ detail: { source } }) => {
        stop(source);
        setProblem(notTaken(source));
      });
      live.current.call = next;
      globalThis.meetCall = next; // for the console, and for tests that measure
      setProblem(null);
      setCall(next);
      next.open();
    } catch (error) {
      setProblem(apiProblem(error));
    } finally {
      live.current.joining = false;
      setJoining(false);
    }
  };

  /** Begin a recording, or end those that there are; everybody is told by the room. */
  const record = async (running) => {
    setProblem(null);
    try {
      if (running.length) await Promise.all(running.map((id) => api.stopRecording(id)));
      else await api.startRecording(meeting);
    } catch (error) {
      setProblem(apiProblem(error));
    }
  };

  const required = Boolean(meeting?.require_e2ee);
  const secret = {
    value: passphrase,
    set: setPassphrase,
    wanted: required && asked,
    missing: required && !passphrase,
  };
  const shared = { user, meeting, tracks, problem, onToggle: toggle, onDismiss: () => setProblem(null) };
  if (call) return <Room {...shared} call={call} onRecord={record} onLeave={() => call.leave()} />;
  return <Lobby {...shared} passphrase={secret} joining={joining} onJoin={join} onBack={onLeave} />;
}
