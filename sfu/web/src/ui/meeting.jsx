import { useEffect, useRef, useState } from 'preact/hooks';
import { Call } from '../client/index.js';
import { capture } from './devices.js';
import { Lobby } from './lobby.jsx';
import { Room } from './room.jsx';
import { apiProblem, deviceProblem, endedProblem, mutedByOther } from './words.js';

/** One meeting, from the look in the mirror to the goodbye. Owns the captured tracks. */
export function Meeting({ api, user, meetingId, onLeave }) {
  const [meeting, setMeeting] = useState(null);
  const [tracks, setTracks] = useState({});
  const [problem, setProblem] = useState(null);
  const [call, setCall] = useState(null);
  const [joining, setJoining] = useState(false);
  const live = useRef({ tracks: {}, call: null });

  // at once in `live`, for whoever comes before the next rendering: a device may open while the room is being joined
  const keep = (source, track) => {
    live.current.tracks = { ...live.current.tracks, [source]: track };
    setTracks(live.current.tracks);
  };

  /** Start a device; a device that is not there is a sentence, never the end. */
  const start = async (source) => {
    try {
      const track = await capture(source);
      track.addEventListener('ended', () => stop(source));
      keep(source, track);
      await live.current.call?.publish(source, track);
    } catch (error) {
      setProblem(deviceProblem(source, error));
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

  useEffect(() => {
    api.meeting(meetingId).then(setMeeting, (error) => setProblem(apiProblem(error)));
    start('microphone');
    start('camera');
    return () => {
      live.current.call?.leave();
      for (const track of Object.values(live.current.tracks)) track?.stop();
    };
  }, []);

  const join = async () => {
    setJoining(true);
    try {
      const seat = await api.join(meetingId);
      const next = new Call({
        url: seat.signaling_url.replace(/^.*?\/\/[^/]+/, location.origin.replace(/^http/, 'ws')),
        roomId: meetingId,
        iceServers: seat.ice_servers,
        userInfo: { username: user.username, avatar_url: user.avatar_url },
        ticket: () => api.socketTicket(),
      });
      for (const [source, track] of Object.entries(live.current.tracks)) if (track) next.publish(source, track);
      next.addEventListener('ended', ({ detail }) => {
        live.current.call = null;
        setCall(null);
        if (detail.reason === 'left') onLeave();
        else setProblem(endedProblem(detail));
      });
      next.addEventListener('muted', ({ detail: { source } }) => {
        if (source !== 'microphone') stop(source);
        setProblem(mutedByOther(source));
      });
      live.current.call = next;
      globalThis.meetCall = next; // for the console, and for tests that measure
      setProblem(null);
      setCall(next);
      next.open();
    } catch (error) {
      setProblem(apiProblem(error));
    } finally {
      setJoining(false);
    }
  };

  const shared = { user, meeting, tracks, problem, onToggle: toggle, onDismiss: () => setProblem(null) };
  if (call) return <Room {...shared} call={call} onLeave={() => call.leave()} />;
  return <Lobby {...shared} joining={joining} onJoin={join} onBack={onLeave} />;
}
