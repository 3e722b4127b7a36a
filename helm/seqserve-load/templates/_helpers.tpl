{{/* The revision makes each run a Job of its own, since a Job cannot be changed; room is left for "-workers". */}}
{{- define "load.name" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) -}}
{{- $name = printf "%s-%s" $name .Chart.Name -}}
{{- end -}}
{{- $suffix := printf "-%d" .Release.Revision -}}
{{- $name | trunc (int (sub 55 (len $suffix))) | trimSuffix "-" -}}{{ $suffix }}
{{- end -}}

{{- define "load.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "load.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "load.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The key of a program in the ConfigMap; keys cannot hold slashes, so that the volume puts them back. */}}
{{- define "load.key" -}}
{{- trimPrefix "files/" . | replace "/" "." -}}
{{- end -}}

{{- define "load.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* Where helm/seqserve puts its Service: as its own template names it. */}}
{{- define "load.host" -}}
{{- if .Values.target.url -}}
{{- .Values.target.url -}}
{{- else -}}
{{- $name := .Values.target.release -}}
{{- if not (contains "seqserve" $name) -}}
{{- $name = printf "%s-seqserve" $name -}}
{{- end -}}
{{- printf "http://%s:%d" ($name | trunc 63 | trimSuffix "-") (int .Values.target.port) -}}
{{- end -}}
{{- end -}}

{{/* Options are sorted by name. Helm holds numbers as floats and would print 1000000 as 1e+06. */}}
{{- define "load.options" -}}
{{- range $name, $value := .Values.options }}
{{- if kindIs "float64" $value }}
{{- $value = printf "%.0f" $value }}
{{- end }}
- {{ printf "--%s=%v" $name $value | quote }}
{{- end }}
{{- end -}}

{{/* The pod of (list . arguments role): leader or worker. */}}
{{- define "load.pod" -}}
{{- $root := index . 0 -}}
{{- with $root.Values -}}
metadata:
  labels:
    {{- include "load.selectorLabels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ index $ 2 }}
    {{- with .podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- /* A missed objective is a result, not a reason to try again; a worker may come before the one that leads. */}}
  restartPolicy: {{ ternary "OnFailure" "Never" (eq (index $ 2) "worker") }}
  automountServiceAccountToken: false
  # A Service called locust would inject LOCUST_... variables, which locust reads as options.
  enableServiceLinks: false
  {{- with .imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: locust
      image: {{ include "load.image" $root | quote }}
      imagePullPolicy: {{ .image.pullPolicy }}
      command: [locust]
      args:
        - --locustfile=/programs/loadtests/locustfile.py
        - --headless
        - --only-summary
        - {{ printf "--host=%s" (include "load.host" $root) | quote }}
        {{- index $ 1 | nindent 8 }}
        {{- with include "load.options" $root | trim }}
        {{- . | nindent 8 }}
        {{- end }}
      env:
        # No writable home, no bytecode beside the sources.
        - name: HOME
          value: /tmp
        - name: PYTHONDONTWRITEBYTECODE
          value: "1"
        # The locustfile imports its neighbours as the package loadtests.
        - name: PYTHONPATH
          value: /programs
        {{- with .apiKey }}
        {{- if .secretName }}
        - name: LOADTEST_API_KEY
          valueFrom:
            secretKeyRef:
              name: {{ .secretName }}
              key: {{ .secretKey }}
        {{- end }}
        {{- end }}
      resources:
        {{- toYaml .resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        - name: programs
          mountPath: /programs
          readOnly: true
        - name: results
          mountPath: /results
        - name: tmp
          mountPath: /tmp
  volumes:
    - name: programs
      configMap:
        name: {{ include "load.name" $root }}
        items:
          {{- range $path, $_ := $root.Files.Glob "files/**.py" }}
          - key: {{ include "load.key" $path }}
            path: {{ trimPrefix "files/" $path }}
          {{- end }}
    - name: results
      {{- if and .results.claim (ne (index $ 2) "worker") }}
      persistentVolumeClaim:
        claimName: {{ .results.claim }}
      {{- else }}
      emptyDir: {}
      {{- end }}
    - name: tmp
      emptyDir: {}
  {{- with .nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}
