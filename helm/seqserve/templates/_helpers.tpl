{{/* A name that holds the release's, but does not say "seqserve" twice; DNS labels end at 63. */}}
{{- define "seqserve.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "seqserve.fullname" -}}
{{- $name := include "seqserve.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The full name with a suffix, cut so that the suffix stays: (list . "-models"). */}}
{{- define "seqserve.suffixed" -}}
{{- $suffix := index . 1 -}}
{{- include "seqserve.fullname" (index . 0) | trunc (int (sub 63 (len $suffix))) | trimSuffix "-" -}}{{ $suffix }}
{{- end -}}

{{- define "seqserve.selectorLabels" -}}
app.kubernetes.io/name: {{ include "seqserve.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* What tells the server's pods from the test's, which carry the other labels too. */}}
{{- define "seqserve.podLabels" -}}
{{ include "seqserve.selectorLabels" . }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "seqserve.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "seqserve.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "seqserve.image" -}}
{{- $tag := .Values.image.tag | default (ternary "gpu" "cpu" .Values.gpu.enabled) -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository $tag -}}
{{- end -}}
{{- end -}}

{{- define "seqserve.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "seqserve.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "seqserve.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "seqserve.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* A setting as the server reads it: helm holds numbers as floats and would print 1048576 as 1.048576e+06. */}}
{{- define "seqserve.settingValue" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- printf "%.0f" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{- define "seqserve.archivesConfigMap" -}}
{{- .Values.models.http.existingConfigMap | default (include "seqserve.suffixed" (list . "-models")) -}}
{{- end -}}

{{- define "seqserve.archivesKey" -}}
{{- ternary .Values.models.http.existingConfigMapKey "archives.json" (ne .Values.models.http.existingConfigMap "") -}}
{{- end -}}

{{/* The series of this release alone, in rules and queries that are written for job="seqserve". */}}
{{- define "seqserve.selectSeries" -}}
{{- $selector := printf "job=%q,namespace=%q" (include "seqserve.fullname" (index . 0)) (index . 0).Release.Namespace -}}
{{- index . 1 | replace "job=\"seqserve\"" $selector -}}
{{- end -}}

{{- define "seqserve.queueQuery" -}}
sum(rate(seqserve_stage_duration_seconds_sum{job="seqserve",stage="queue"}[1m])) / clamp_min(sum(rate(seqserve_stage_duration_seconds_count{job="seqserve",stage="queue"}[1m])), 0.001)
{{- end -}}

{{- define "seqserve.shedQuery" -}}
(sum(rate(seqserve_requests_total{job="seqserve",outcome="overloaded"}[1m])) or vector(0)) / clamp_min(sum(rate(seqserve_requests_total{job="seqserve"}[1m])), 0.001)
{{- end -}}

{{- define "seqserve.scalingBehavior" -}}
scaleUp:
  stabilizationWindowSeconds: {{ .Values.autoscaling.scaleUpSeconds }}
  policies:
    - type: Percent
      value: 100
      periodSeconds: 30
    - type: Pods
      value: 2
      periodSeconds: 30
  selectPolicy: Max
scaleDown:
  stabilizationWindowSeconds: {{ .Values.autoscaling.scaleDownSeconds }}
  policies:
    - type: Percent
      value: 20
      periodSeconds: 60
    - type: Pods
      value: 1
      periodSeconds: 60
  selectPolicy: Max
{{- end -}}
