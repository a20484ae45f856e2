# What a server does before it is stopped. Its name is gone by now, or soon: whoever looks it up sends it nothing new.
sleep {{ .Values.drain.settleSeconds }}
# Live streams, and what was taken and is not answered yet. A server that does not tell has nothing to wait for.
busy() {
  curl --silent --fail --max-time 5 http://127.0.0.1:{{ .Values.ports.metrics }}/metrics \
    | awk '/^(funasr_live_streams|funasr_pending_rows|nv_inference_pending_request_count)[{ ]/ { sum += $NF } END { exit !(sum > 0) }'
}
until=$((SECONDS + {{ .Values.drain.waitSeconds }}))
while ((SECONDS < until)) && busy; do sleep 1; done
exit 0
