{{- define "funasr.name" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "funasr.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* Of a list: context, component. */}}
{{- define "funasr.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Of a list: context, image. */}}
{{- define "funasr.image" -}}
{{- $image := index . 1 -}}
{{ $image.repository }}:{{ default (index . 0).Chart.AppVersion $image.tag }}
{{- end -}}

{{- define "funasr.serviceAccount" -}}
{{ default (include "funasr.name" .) .Values.serviceAccount.name }}
{{- end -}}

{{/* As many servers as there may ever be: those that are not there are not ready, which costs a question a second. */}}
{{- define "funasr.servers" -}}
{{- if .Values.autoscaling.enabled }}{{ .Values.autoscaling.maxReplicas }}{{ else }}{{ .Values.triton.replicas }}{{ end -}}
{{- end -}}

{{/* How many servers to begin with. Where they are scaled, as many as there are: a manifest without a number means one to the API, and with another all that are too many go. */}}
{{- define "funasr.replicas" -}}
{{- if .Values.autoscaling.enabled -}}
{{- $own := lookup "apps/v1" "StatefulSet" .Release.Namespace (printf "%s-triton" (include "funasr.name" .)) -}}
{{- if $own -}}{{ $own.spec.replicas }}{{- else -}}{{ .Values.autoscaling.minReplicas }}{{- end -}}
{{- else -}}
{{ .Values.triton.replicas }}
{{- end -}}
{{- end -}}

{{/* The volume of the models; which one, is said once. */}}
{{- define "funasr.models" -}}
{{- $models := .Values.models -}}
{{- $given := list -}}
{{- if $models.existingClaim }}{{ $given = append $given "models.existingClaim" }}{{ end -}}
{{- if $models.claim.create }}{{ $given = append $given "models.claim.create" }}{{ end -}}
{{- if $models.image.reference }}{{ $given = append $given "models.image.reference" }}{{ end -}}
{{- if $models.init.image }}{{ $given = append $given "models.init.image" }}{{ end -}}
{{- if ne (len $given) 1 -}}
{{- fail (printf "the models come from one place: set one of models.existingClaim, models.claim.create, models.image.reference and models.init.image (set: %s)" (default "none" (join ", " $given))) -}}
{{- end -}}
- name: models
{{- if $models.existingClaim }}
  persistentVolumeClaim:
    claimName: {{ $models.existingClaim }}
    readOnly: true
{{- else if $models.claim.create }}
  persistentVolumeClaim:
    claimName: {{ include "funasr.name" . }}-models
{{- else if $models.image.reference }}
  image:
    reference: {{ $models.image.reference }}
    pullPolicy: {{ $models.image.pullPolicy }}
{{- else }}
  emptyDir:
    sizeLimit: {{ $models.init.sizeLimit }}
{{- end }}
{{- end -}}
