{{/* What the schema cannot say, or not in words that help: each fault names the value and the remedy. */}}
{{- define "seqserve.check" -}}
{{- $values := .Values -}}
{{- $faults := list -}}

{{- $remedies := dict
  "unix_socket" "other pods could not reach it"
  "certfile" "pods speak HTTP; TLS ends at the ingress, see ingress.tls"
  "keyfile" "pods speak HTTP; TLS ends at the ingress, see ingress.tls"
  "port" "pods listen on 8000; service.port is the one that clients see"
  "models_dir" "models are at /models; see models.source"
  "api_keys" "keys belong into a Secret; see apiKeys.secretName" -}}
{{- range $name, $remedy := $remedies -}}
{{- if hasKey $values.settings $name -}}
{{- $faults = append $faults (printf "settings.%s is not set here: %s" $name $remedy) -}}
{{- end -}}
{{- end -}}

{{- $host := get $values.settings "host" | default "0.0.0.0" -}}
{{- if not (has $host (list "0.0.0.0" "::")) -}}
{{- $faults = append $faults (printf "settings.host %s would hide the server from the cluster; it is 0.0.0.0, or :: where pods have addresses of IPv6" $host) -}}
{{- end -}}

{{- $models := $values.models -}}
{{- if and (eq $models.source "claim") (not $models.claim.name) -}}
{{- $faults = append $faults "models.source claim needs models.claim.name, the name of a PersistentVolumeClaim" -}}
{{- end -}}
{{- if and (eq $models.source "oci") (not $models.oci.image) -}}
{{- $faults = append $faults "models.source oci needs models.oci.image, an image that holds models" -}}
{{- end -}}
{{- if and (eq $models.source "http") (not $models.http.archives) (not $models.http.existingConfigMap) -}}
{{- $faults = append $faults "models.source http needs models.http.archives (a list of url and sha256) or models.http.existingConfigMap" -}}
{{- end -}}
{{- if and (eq $models.source "http") $values.networkPolicy.enabled (not $values.networkPolicy.egress) -}}
{{- $faults = append $faults "models.source http needs a rule in networkPolicy.egress to fetch through (and one for DNS)" -}}
{{- end -}}

{{- if and (get $values.settings "otlp_endpoint") $values.networkPolicy.enabled (not $values.networkPolicy.egress) -}}
{{- $faults = append $faults "settings.otlp_endpoint needs a rule in networkPolicy.egress to send traces through (and one for DNS)" -}}
{{- end -}}

{{- $scaling := $values.autoscaling -}}
{{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- $faults = append $faults (printf "autoscaling.minReplicas (%d) is above autoscaling.maxReplicas (%d)" (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- end -}}
{{- if and $scaling.enabled (eq $scaling.source "keda") (not $scaling.prometheusAddress) -}}
{{- $faults = append $faults "autoscaling.source keda needs autoscaling.prometheusAddress, for instance http://prometheus-operated.monitoring:9090" -}}
{{- end -}}

{{- $budget := $values.podDisruptionBudget -}}
{{- $hasMin := ne (toString $budget.minAvailable) "" -}}
{{- $hasMax := ne (toString $budget.maxUnavailable) "" -}}
{{- if and $budget.enabled (eq $hasMin $hasMax) -}}
{{- $faults = append $faults "podDisruptionBudget takes one of minAvailable and maxUnavailable; set the other to \"\"" -}}
{{- end -}}
{{- if and $budget.enabled $hasMin (not (kindIs "string" $budget.minAvailable)) -}}
{{- $least := ternary $scaling.minReplicas $values.replicaCount $scaling.enabled -}}
{{- if ge (int $budget.minAvailable) (int $least) -}}
{{- $faults = append $faults (printf "podDisruptionBudget.minAvailable (%d) leaves none of %d pods to evict: no node could ever be drained" (int $budget.minAvailable) (int $least)) -}}
{{- end -}}
{{- end -}}

{{- if and $values.ingress.enabled (not $values.ingress.hosts) -}}
{{- $faults = append $faults "ingress.enabled needs ingress.hosts, a list of host and path" -}}
{{- end -}}
{{- if and $values.gpu.enabled (hasPrefix "cpu" (toString (get $values.settings "device"))) -}}
{{- $faults = append $faults "gpu.enabled asks for a GPU, but settings.device cpu would leave it idle" -}}
{{- end -}}

{{- with $faults -}}
{{- fail (printf "\n%s" (join "\n" (uniq .))) -}}
{{- end -}}
{{- end -}}
